// What a failed exchange with a model server means: which code the caller gets and what the pool may do next.
// I1: a message names server and status, never the server's own text: it may quote the prompt.
import { HandlerError, type Code } from "../error.ts";
import { isRecord, numberOf, stringOf } from "./json.ts";

export interface Failure {
  readonly error: HandlerError;
  /** "same": the endpoint may be asked again; "next": only another one; "never": the request itself is at fault. */
  readonly again: "same" | "next" | "never";
  /** What to wait before asking the same endpoint again, ms; undefined = short jitter. */
  readonly waitMs: number | undefined;
  /** How often the same endpoint may be asked again after this. */
  readonly tries: number;
  /** What it says about the server: "bad" counts towards opening the circuit, "good" (it answered) closes it. */
  readonly health: "good" | "bad" | "unknown";
}

interface StatusRule {
  readonly code: Code;
  readonly again: Failure["again"];
  readonly says: string;
  readonly health?: "bad";
}

const statusRules: Readonly<Record<number, StatusRule>> = {
  400: { code: "invalid_argument", again: "never", says: "refused the request" },
  401: { code: "unauthenticated", again: "next", says: "wants other credentials" },
  403: { code: "permission_denied", again: "next", says: "forbids the request" },
  404: { code: "not_found", again: "next", says: "does not know the model or path" },
  405: { code: "not_found", again: "next", says: "does not know the path" },
  408: { code: "deadline_exceeded", again: "never", says: "ran out of its own time" },
  413: { code: "invalid_argument", again: "never", says: "finds the request too large" },
  422: { code: "invalid_argument", again: "never", says: "refused the request" },
  429: { code: "resource_exhausted", again: "same", says: "is overloaded" },
  501: { code: "unimplemented", again: "next", says: "does not implement the call" },
  503: { code: "unavailable", again: "same", says: "has no free replica" },
  529: { code: "resource_exhausted", again: "same", says: "is overloaded" },
};

function ruleOf(status: number): StatusRule {
  const rule = statusRules[status];
  if (rule !== undefined) return rule;
  if (status >= 500) {
    const gateway = status === 502 || status === 504;
    return {
      code: gateway ? "unavailable" : "internal",
      again: "next",
      says: "failed",
      health: "bad",
    };
  }
  if (status === 424) return { code: "internal", again: "next", says: "failed", health: "bad" };
  if (status >= 400) return { code: "invalid_argument", again: "never", says: "refused the request" };
  return { code: "failed_precondition", again: "next", says: "redirects elsewhere, check its URL" };
}

/** What 429 and 503 without Retry-After tell the caller to wait, ms. */
const defaultRetryAfterMs = 1000;
/** A 503 of Ray Serve during a burst is over after 50–200 ms, so the same endpoint is asked twice more. */
const busyTries = 2;

/** Failure for an HTTP status; `body` is the error body's text, of which only codes and type names are used. */
export function statusFailure(options: {
  status: number;
  body: string;
  retryAfter: string | undefined;
  from: string;
}): Failure {
  const { status, body, from } = options;
  const rule = ruleOf(status);
  const waitMs = retryAfterMs(options.retryAfter);
  const busy = rule.again === "same";
  const error = tooLong(body, status)
    ? new HandlerError(`the prompt is longer than the context of ${from}`, "invalid_argument")
    : new HandlerError(`${from} ${rule.says}: HTTP ${status}${kindOf(body)}`, rule.code, {
        ...(busy && { retryAfterMs: waitMs ?? defaultRetryAfterMs }),
      });
  return { error, again: rule.again, waitMs, tries: busyTries, health: rule.health ?? "good" };
}

/** Error for a failure told inside an answer of status 200, or in the middle of a stream. */
export function embeddedError(value: unknown, from: string): HandlerError {
  const error = isRecord(value) && isRecord(value["error"]) ? value["error"] : value;
  const text = JSON.stringify(value);
  const record = isRecord(error) ? error : {};
  const status =
    numberOf(record["code"]) ?? numberOf(record["status"]) ?? Number(stringOf(record["code"]) ?? Number.NaN);
  if (status >= 400 && status < 600) return statusFailure({ status, body: text, retryAfter: undefined, from }).error;
  if (tooLong(text, 400))
    return new HandlerError(`the prompt is longer than the context of ${from}`, "invalid_argument");
  return new HandlerError(`${from} answered with an error${kindOf(text)}`, "unavailable");
}

/** Failure for an exchange that ended before the status line. `reused` = the connection had carried an answer before. */
export function networkFailure(reason: unknown, options: { host: string; from: string; reused: boolean }): Failure {
  const { host, from, reused } = options;
  const code = codeOfCause(reason);
  const failure = (message: string, again: Failure["again"], stale = false): Failure => ({
    error: new HandlerError(message, "unavailable", { cause: reason }),
    again,
    waitMs: stale ? 0 : undefined,
    tries: 1,
    health: stale ? "unknown" : "bad",
  });
  switch (code) {
    case "ENOTFOUND":
      return failure(`the host name ${host} of ${from} does not resolve`, "next");
    case "EAI_AGAIN":
      return failure(`the host name ${host} of ${from} cannot be resolved now`, "same");
    case "UND_ERR_CONNECT_TIMEOUT":
    case "ETIMEDOUT":
      return failure(`no connection to ${from} in time`, "next");
    case "ECONNREFUSED":
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return failure(`no connection to ${from} (${code})`, "same");
    case "ECONNRESET":
    case "EPIPE":
    case "UND_ERR_SOCKET":
      // An idle connection that the server closed while we wrote: the request never arrived. A fresh one that breaks was the server's doing.
      return reused
        ? failure(`${from} closed the connection`, "same", true)
        : failure(`${from} closed the connection before it answered`, "next");
    case undefined:
    default:
      return failure(`the request to ${from} failed${code === undefined ? "" : ` (${code})`}`, "next");
  }
}

function codeOfCause(reason: unknown): string | undefined {
  if (!(reason instanceof Error)) return undefined;
  if (reason instanceof AggregateError) return codeOfCause(reason.errors[0]);
  if ("code" in reason && typeof reason.code === "string" && /^[A-Z0-9_]{1,40}$/.test(reason.code)) return reason.code;
  return codeOfCause(reason.cause);
}

/** Retry-After as seconds or as a date, in ms; undefined when absent or not readable. */
export function retryAfterMs(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const seconds = Number(header);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.min(Math.max(0, Math.round(ms)), 86_400_000) : undefined;
}

/** " (context_length_exceeded)": type or code names only, as every other word of the body may be the user's. */
function kindOf(body: string): string {
  const kind = /"(?:type|error_type|code)"\s*:\s*"([A-Za-z][\w.-]{0,63})"/.exec(body)?.[1];
  return kind === undefined ? "" : ` (${kind})`;
}

function tooLong(body: string, status: number): boolean {
  return (
    (status === 400 || status === 413 || status === 422 || status === 500) &&
    /context_length_exceeded|exceed_context_size|maximum context length|context window|available context size/i.test(
      body,
    )
  );
}
