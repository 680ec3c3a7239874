// Headers that our requests carry. What comes from users (session, request id) must not be able to write a header of its own.
import { createHash } from "node:crypto";
import type { CallOptions, ClientOptions } from "./options.ts";

/** Headers of every request of a client. */
export function clientHeaders({ apiKey, headers }: ClientOptions): Record<string, string> {
  return {
    "content-type": "application/json",
    ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
    ...headers,
  };
}

/** Headers of one call. */
export function callHeaders({ sessionId, requestId }: CallOptions): Record<string, string> {
  return {
    ...(sessionId !== undefined && { "x-session-id": headerToken(sessionId) }),
    ...(requestId !== undefined && { "x-request-id": headerToken(requestId) }),
  };
}

const traceHeaderNames: readonly string[] = ["traceparent", "tracestate", "baggage"];
const maxTraceHeader = 8192;

/** The trace context among headers that came with a request; every other name is dropped. */
export function traceContext(headers: Readonly<Record<string, string>>): Record<string, string> {
  return sendable(Object.fromEntries(Object.entries(headers).filter(([name]) => traceHeaderNames.includes(name))));
}

/** Without values that no header can hold: one of those would fail every call, and the server would look broken. */
export function sendable(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([, value]) => value.length <= maxTraceHeader && /^[\x20-\x7e]*$/.test(value)),
  );
}

/** The id itself where it can stand in a header, else its hash: the same session still meets the same replica. */
function headerToken(id: string): string {
  return /^[\x21-\x7e]{1,200}$/.test(id) ? id : createHash("sha256").update(id).digest("hex");
}
