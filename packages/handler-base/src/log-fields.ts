// Makes fields of a log line safe: secrets and user text blanked, errors without texts that we did not write, everything bounded.
//
// I1  A key that could hold a secret or what a user wrote is blanked at any depth; counts under such a name of a text stay.
// I2  An error keeps its message only where the message is known to hold no user text: our own errors and those of the system.
//     JSON.parse and most libraries quote their input in their messages.
import { HandlerError } from "./error.ts";

const blank = "[redacted]";
const longestText = 2048;
const largestArray = 32;
const mostKeys = 64;
const deepest = 5;
const longestCauseChain = 5;
const mostFrames = 12;

/** Words that, as a key or as the last or only words of one (`api_key`, `userQuery`), make its value unfit for a log. */
const secretWords = wordsOf(
  "secret password passwd token authorization cookie credential credentials creds api_key apikey access_key private_key nkey seed jwt bearer",
);
const contentWords = wordsOf(
  "text query prompt content contents message_content messages_content message messages body payload data audio answer response reply transcript transcription history passage passages document documents delta chunk input output question utterance arguments reasoning embedding vector",
);

function wordsOf(text: string): ReadonlySet<string> {
  return new Set(text.split(" "));
}

/** Whether words that are parted by `_` are some of these or end in some. Not an expression: compiling one takes 1 ms of every start. */
function endsIn(words: string, wanted: ReadonlySet<string>): boolean {
  let from = 0;
  do {
    if (wanted.has(words.slice(from))) return true;
    from = words.indexOf("_", from) + 1;
  } while (from > 0);
  return false;
}

/** Fields as they may be written: plain JSON values. Never throws. */
export function safeFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const safe: Record<string, unknown> = {};
  for (const key in fields) {
    const value = fields[key];
    if (value === undefined) continue;
    safe[key] = isUnsafe(key, value) ? blank : member(value, 1);
  }
  return safe;
}

type Kind = "secret" | "content" | "plain";
const kinds = new Map<string, Kind>();

function isUnsafe(key: string, value: unknown): boolean {
  let kind = kinds.get(key);
  if (kind === undefined) {
    kind = kindOf(key);
    if (kinds.size < 1000) kinds.set(key, kind);
  }
  return kind === "secret" || (kind === "content" && typeof value !== "number" && typeof value !== "boolean");
}

function kindOf(key: string): Kind {
  const words = key
    .slice(0, 200)
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .replace(/[-.\s]/g, "_")
    .toLowerCase();
  return endsIn(words, secretWords) ? "secret" : endsIn(words, contentWords) ? "content" : "plain";
}

function safeValue(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case "string":
      return value.length > longestText ? `${value.slice(0, longestText)}…` : value;
    case "number":
      return Number.isFinite(value) ? value : String(value);
    case "bigint":
      return String(value);
    case "boolean":
      return value;
    case "object":
      return value === null ? null : safeObject(value, depth);
    case "undefined":
    case "function":
    case "symbol":
      return `[${typeof value}]`;
    default:
      return "[unknown]";
  }
}

function safeObject(value: object, depth: number): unknown {
  if (value instanceof Error) return safeError(value, 0);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (depth >= deepest) return "[…]";
  if (Array.isArray(value)) return value.slice(0, largestArray).map((item) => safeValue(item, depth + 1));
  const safe: Record<string, unknown> = {};
  for (const key of Object.keys(value).slice(0, mostKeys)) {
    const held = read(value, key);
    safe[key] = isUnsafe(key, held) ? blank : member(held, depth + 1);
  }
  return safe;
}

/** A proxy may throw on anything. */
function member(value: unknown, depth: number): unknown {
  try {
    return safeValue(value, depth);
  } catch {
    return "[unreadable]";
  }
}

/** A getter may throw, a log line may not. */
function read(value: object, key: string): unknown {
  try {
    return Reflect.get(value, key);
  } catch {
    return "[unreadable]";
  }
}

function safeError(error: Error, depth: number): Record<string, unknown> {
  const code: unknown = "code" in error ? error.code : undefined;
  const safe: Record<string, unknown> = { name: error.name.slice(0, 80) };
  if (typeof code === "string" || typeof code === "number") safe["code"] = code;
  if (hasSafeMessage(error)) safe["message"] = safeValue(error.message, deepest);
  safe["stack"] = frames(error);
  if (error.cause !== undefined && depth < longestCauseChain) {
    safe["cause"] = error.cause instanceof Error ? safeError(error.cause, depth + 1) : `[${typeof error.cause}]`;
  }
  if (error instanceof AggregateError && depth < longestCauseChain) {
    const errors: readonly unknown[] = error.errors;
    safe["errors"] = errors.slice(0, 5).map((each) => (each instanceof Error ? safeError(each, depth + 1) : blank));
  }
  return safe;
}

/** Errors whose messages name servers, subjects, streams or variables, but quote no payload. */
const safeNames =
  /^(?:ConfigError|ConnectionError|ClosedConnectionError|DrainingConnectionError|NoRespondersError|RequestError|TimeoutError|AuthorizationError|UserAuthenticationExpiredError|PermissionViolationError|ProtocolError|JetStreamError|JetStreamApiError|JetStreamNotEnabled|ConsumerNotFoundError|StreamNotFoundError|MissingArtifact)$/;

function hasSafeMessage(error: Error): boolean {
  if (error instanceof HandlerError || "syscall" in error || safeNames.test(error.name)) return true;
  return "code" in error && typeof error.code === "string" && error.code.startsWith("UND_ERR_");
}

/** Places only: the head of a stack repeats the message, which may quote user text over several lines. */
function frames(error: Error): string[] {
  const stack = typeof error.stack === "string" ? error.stack : "";
  const at = stack.indexOf(error.message);
  const rest = at < 0 ? stack : stack.slice(at + error.message.length);
  return rest
    .split("\n")
    .map((line) => /^\s+at (.{1,300})$/.exec(line)?.[1])
    .filter((line) => line !== undefined)
    .slice(0, mostFrames);
}
