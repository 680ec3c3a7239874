// What a request asks, and what is looked up for it.
import { HandlerError } from "@pipeline/handler-base";
import type { ChatRequest } from "@pipeline/messages";

/** The question: `query`, else `message`. Throws `invalid_argument` when both are empty. */
export function effectiveQuery(request: Pick<ChatRequest, "query" | "message">): string {
  const text = [request.query, request.message].map((each) => each.trim()).find((each) => each !== "");
  if (text !== undefined) return text;
  throw new HandlerError("the question is empty: set query, or message as older publishers do", "invalid_argument", {
    violations: ["query: is empty", "message: is empty"],
  });
}

/** Language of the answer; undefined where the request names none. Throws `invalid_argument` for what is no BCP 47 tag. */
export function languageOf({ language }: Pick<ChatRequest, "language">): string | undefined {
  if (language === "") return undefined;
  if (/^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$/.test(language)) return language;
  throw new HandlerError("language is not a BCP 47 tag such as en or pt-BR", "invalid_argument", {
    violations: ["language: is not a BCP 47 tag"],
  });
}

/** Words that point at something said before, where they stand early ("how is it …") or at the end ("who made that?"). */
const pointing = new Set("it its this that these those they them their he him his she her one ones".split(" "));
const pointingAtTheEnd = new Set([...pointing, "there", "so", "instead", "otherwise"]);
const early = 4;
const mostWordsThatPoint = 12;
const goesOn = /^(?:and|but|so|or|also|then|what about|how about|what else|anything else)\b/i;
const asks =
  /^(?:what|which|who|whom|whose|when|where|why|how|is|are|was|were|do|does|did|can|could|may|must|should|will|would|has|have)\b/i;
/** What an embeddings model takes of a text, and what a search needs. */
const longestLookup = 2000;

/**
 * What is looked up for a question. One that goes on from the question before it ("and how is it turned off?", "the default?") is looked
 * up together with that one.
 */
export function lookup(question: string, previous: string | undefined): string {
  const text =
    previous !== undefined && followsOn(question) ? `${previous.slice(0, longestLookup / 2)}\n${question}` : question;
  return text.slice(0, longestLookup);
}

function followsOn(question: string): boolean {
  const words = question.toLowerCase().match(/[\p{L}\p{N}'’-]+/gu) ?? [];
  if (words.length <= 2 || goesOn.test(question)) return true;
  if (words.length <= 3 && !asks.test(question)) return true;
  const points = words.slice(0, early).some((word) => pointing.has(word)) || pointingAtTheEnd.has(words.at(-1) ?? "");
  return points && words.length <= mostWordsThatPoint;
}
