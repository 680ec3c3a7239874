// Milvus tells most of its errors with HTTP 200 and a code in the body.
// I1: its message is passed on only for calls that carry no text of a user or document: it quotes values.
import { HandlerError, type Code } from "../error.ts";
import { unknownCollection } from "./query.ts";

const collectionNotFound = 100;

const codes: Readonly<Record<number, Code>> = {
  1: "unavailable",
  2: "unavailable",
  3: "resource_exhausted",
  4: "resource_exhausted",
  7: "resource_exhausted",
  8: "resource_exhausted",
  9: "resource_exhausted",
  10: "unimplemented",
  12: "resource_exhausted",
  101: "failed_precondition",
  103: "unavailable",
  106: "unavailable",
  700: "failed_precondition",
  800: "not_found",
  1100: "invalid_argument",
  1101: "invalid_argument",
  1102: "invalid_argument",
  1800: "unauthenticated",
  1801: "invalid_argument",
  1802: "invalid_argument",
  1804: "invalid_argument",
  1807: "resource_exhausted",
  65535: "unavailable",
};

export function milvusError(options: {
  code: number;
  message: string | undefined;
  operation: string;
  collection: string;
}): HandlerError {
  const { code, message, operation, collection } = options;
  if (code === collectionNotFound) return unknownCollection(collection);
  const mapped = codes[code] ?? (code >= 400 && code < 500 ? "permission_denied" : "internal");
  const told = message === undefined ? "" : `: ${message.slice(0, 300)}`;
  return new HandlerError(`milvus refused to ${operation} (collection ${collection}, code ${code})${told}`, mapped, {
    ...(mapped === "resource_exhausted" && { retryAfterMs: 1000 }),
  });
}
