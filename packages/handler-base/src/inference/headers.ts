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

/** The id itself where it can stand in a header, else its hash: the same session still meets the same replica. */
function headerToken(id: string): string {
  return /^[\x21-\x7e]{1,200}$/.test(id) ? id : createHash("sha256").update(id).digest("hex");
}
