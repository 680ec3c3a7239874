// Milvus tells most of its errors with HTTP 200 and a code in the body.
// I1: its message is passed on only for calls that carry no text of a user or document: it quotes values.
import { HandlerError, type Code } from "../error.ts";
import { shown, unknownCollection } from "./query.ts";

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
  101: "failed_precondition", // collection not loaded
  103: "unavailable",
  106: "unavailable",
  109: "failed_precondition",
  700: "failed_precondition", // index not found
  800: "not_found", // database not found
  1100: "invalid_argument",
  1101: "invalid_argument",
  1102: "invalid_argument",
  1400: "unauthenticated",
  1401: "permission_denied",
  1800: "unauthenticated",
  1801: "invalid_argument",
  1802: "invalid_argument",
  1804: "invalid_argument",
  1807: "resource_exhausted",
  10_000: "unavailable",
  10_001: "unavailable",
  65_535: "unavailable",
};

function codeOfMilvus(code: number): Code {
  // replicas, channels and segments that are being moved
  return codes[code] ?? (code >= 400 && code < 700 ? "unavailable" : "internal");
}

export function milvusError(options: {
  code: number;
  message: string | undefined;
  operation: string;
  collection: string;
}): HandlerError {
  const { code, message, operation, collection } = options;
  if (code === collectionNotFound) return unknownCollection(collection);
  const mapped = codeOfMilvus(code);
  const told = message === undefined ? "" : `: ${message.slice(0, 300)}`;
  return new HandlerError(
    `milvus refused to ${operation} (collection ${shown(collection)}, code ${code})${told}`,
    mapped,
    {
      ...(mapped === "resource_exhausted" && { retryAfterMs: 1000 }),
    },
  );
}
