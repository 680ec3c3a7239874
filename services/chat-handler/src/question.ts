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

/** Words that point at something said before. */
const pointing =
  /\b(?:it|its|that|this|those|these|they|them|their|he|him|his|she|her|there|one|ones|same|former|latter|else)\b/i;
const fewWords = 4;
const mostWordsThatPoint = 12;
/** What an embeddings model takes of a text, and what a search needs. */
const longestLookup = 2000;

/**
 * What is looked up for a question. One that is short or points at something said before ("and how is it turned off?") is looked up
 * together with the question before it.
 */
export function lookup(question: string, previous: string | undefined): string {
  const words = question.split(/\s+/).length;
  const follows = words <= fewWords || (words <= mostWordsThatPoint && pointing.test(question));
  const text = follows && previous !== undefined ? `${previous.slice(0, longestLookup / 2)}\n${question}` : question;
  return text.slice(0, longestLookup);
}
