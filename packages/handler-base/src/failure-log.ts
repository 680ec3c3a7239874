// What the log says of a call that failed. The caller is told code and message; the log gets what is behind them.
//
// I1  A failure whose whole story the caller is told (a bad request, a passed deadline, a cancel) is no line: metrics count it.
import type { HandlerError } from "./error.ts";
import type { Logger } from "./log.ts";

/** Writes one line about a failure that has a cause or that nobody foresaw. `log` names the call. */
export function logFailure(log: Logger, error: HandlerError): void {
  const { code, cause } = error;
  if (code === "canceled" || code === "deadline_exceeded") return;
  if (code === "internal" || code === "unknown") log.error({ code, error: safe(cause) ?? error }, "the call failed");
  else if (cause !== undefined) log.warn({ code, error }, "the call failed");
}

/** A text that was thrown may be what a user wrote: only its kind is told. Of objects and errors the log keeps what is safe. */
const safe = (cause: unknown): unknown =>
  cause === undefined || typeof cause === "object" ? cause : `[${typeof cause}]`;
