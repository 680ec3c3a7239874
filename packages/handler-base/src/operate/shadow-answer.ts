// How two answers to one request compare.
import { ScalarType, type DescMessage, type Message } from "@bufbuild/protobuf";
import type { Msg } from "@nats-io/nats-core";
import { ErrorResponseSchema } from "@pipeline/messages";
import { errorFromHeaders } from "../answer.ts";
import { contentTypeOf, decode } from "../codec.ts";
import type { MethodContract } from "../contract.ts";
import { readField, readText } from "../fields.ts";
import { headers } from "../names.ts";
import { answerType, type Catalogue } from "./catalogue.ts";

/** How one side ended a request. */
export interface Side {
  readonly outcome: "answered" | "failed" | "missing";
  /** From the request to the answer, ms; undefined where there is none. */
  readonly ms?: number;
  /** What was answered, or why not. Holds what the user gets. */
  readonly text?: string;
}

export interface Comparison {
  readonly method: string;
  readonly subject: string;
  readonly requestId: string;
  readonly verdict: "same" | "differs" | "both failed" | "only the first failed" | "only the shadow failed" | "missing";
  /** Words that both answers have, as a share of all words of the two. */
  readonly sharedWords: number;
  readonly first: Side;
  readonly shadow: Side;
}

/** A request that one side or both have not answered yet. */
export interface Waiting {
  readonly method: MethodContract;
  readonly subject: string;
  readonly requestId: string;
  readonly since: number;
  first?: Side;
  shadow?: Side;
}

/** What a message on an answer subject says. Never throws. */
export function readSide(message: Msg, { method, since }: Waiting, catalogue: Catalogue): Side {
  const ms = Math.round(performance.now() - since);
  const type = answerType(catalogue, method);
  try {
    const content = contentTypeOf(message.headers?.get(headers.contentType), message.data);
    const answer = decode(type, message.data, content);
    const error = errorFromHeaders(message.headers, answer, type)?.message ?? embeddedError(type, answer);
    if (error !== undefined) return { outcome: "failed", ms, text: error };
    // Handlers that came before send the error alone; its fields are reserved in every answer.
    const alone = decode(ErrorResponseSchema, message.data, content);
    return readField(ErrorResponseSchema, alone, "error") === true
      ? { outcome: "failed", ms, text: readText(ErrorResponseSchema, alone, "message") }
      : { outcome: "answered", ms, text: textOf(type, answer) };
  } catch {
    return { outcome: "failed", ms, text: "the answer cannot be read" };
  }
}

function embeddedError(type: DescMessage, answer: Message): string | undefined {
  const error: unknown = readField(type, answer, "error");
  if (typeof error !== "object" || error === null || !("error" in error) || error.error !== true) return undefined;
  return "message" in error ? String(error.message) : "";
}

const notText = /(^|_)(id|type|model|language|status|format)$/;

/** What the user is told: all texts of the answer that are no names. */
function textOf(type: DescMessage, answer: Message): string {
  return type.fields
    .filter((field) => field.fieldKind === "scalar" && field.scalar === ScalarType.STRING && !notText.test(field.name))
    .map(({ name }) => readText(type, answer, name))
    .join("\n")
    .trim();
}

/** What is missing counts as missing from now on. */
export function compare({ method, subject, requestId, first, shadow }: Waiting): Comparison {
  const one: Side = first ?? { outcome: "missing" };
  const other: Side = shadow ?? { outcome: "missing" };
  const sharedWords = shared(one.text ?? "", other.text ?? "");
  return {
    method: method.name,
    subject,
    requestId,
    verdict: verdictOf(one, other),
    sharedWords,
    first: one,
    shadow: other,
  };
}

function verdictOf(first: Side, shadow: Side): Comparison["verdict"] {
  if (first.outcome === "missing" || shadow.outcome === "missing") return "missing";
  if (first.outcome === "failed") return shadow.outcome === "failed" ? "both failed" : "only the first failed";
  if (shadow.outcome === "failed") return "only the shadow failed";
  return normal(first.text) === normal(shadow.text) ? "same" : "differs";
}

const normal = (text = "") => text.replaceAll(/\s+/g, " ").trim();

function shared(one: string, other: string): number {
  const left = words(one);
  const right = words(other);
  const all = left.union(right).size;
  return all === 0 ? 1 : left.intersection(right).size / all;
}

const words = (text: string) => new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []);
