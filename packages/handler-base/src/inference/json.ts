// Reading what a model server says: sizes bounded, shapes checked, and nothing of the text in an error message,
// because servers quote the prompt in theirs.
import { HandlerError } from "../error.ts";

export type JsonRecord = Record<string, unknown>;

export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value as a string, or undefined. */
export function stringOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** The value as a finite number, or undefined. */
export function numberOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

/** The value as a list, or undefined. */
export function listOf(value: unknown): unknown[] | undefined {
  return Array.isArray(value) ? value : undefined;
}

/** All of a body as text. Throws `resource_exhausted` beyond `maxBytes`. */
export async function readText(body: AsyncIterable<Uint8Array>, maxBytes: number, from: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > maxBytes) {
      throw new HandlerError(`${from} answered more than ${maxBytes} bytes`, "resource_exhausted", {
        retryable: false,
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** A body's JSON. What is no JSON is `unavailable`; NaN and Infinity, which Python servers write bare, are named as such (`internal`). */
export function parseJson(text: string, from: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // the parser's message quotes the body, which may quote the prompt
    throw notJson(text, from);
  }
}

function notJson(text: string, from: string): HandlerError {
  const start = text.trimStart();
  if (start === "") return new HandlerError(`${from} answered with an empty body`, "unavailable");
  if (start.startsWith("<")) return new HandlerError(`${from} answered HTML instead of JSON`, "unavailable");
  const bad = /[[:,]\s*(-?Infinity|NaN)\s*[\],}]/.exec(text)?.[1];
  if (bad !== undefined) return new HandlerError(`${from} returned ${bad}`, "internal");
  return new HandlerError(`${from} answered something that is not JSON`, "unavailable");
}
