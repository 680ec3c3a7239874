// What becomes of a message after its call: one table, and nothing else decides.
//
// | outcome                                                           | decision                                                           |
// |-------------------------------------------------------------------|--------------------------------------------------------------------|
// | ok                                                                | ack                                                                |
// | the service is stopping                                           | give back at once; on the last attempt: a copy of the same attempt |
// | ok, but the connection broke before the answer was surely sent    | the same                                                           |
// | its caller canceled it, or is gone from the inbox where it waited | ack: nobody would want it again                                    |
// | delivered more often than there are attempts                      | dead letter `max_deliveries`, term                                 |
// | an error that no attempt can mend                                 | dead letter, term                                                  |
// | another error, last attempt                                       | dead letter, term                                                  |
// | another error, next attempt in under 2 s                          | give back with the delay                                           |
// | another error, next attempt later                                 | a scheduled copy of the next attempt, ack                          |
//
// A message given back with a delay counts as pending until it is due, so that only short delays may; a scheduled copy counts nowhere.
// The server's `max_deliver` is the contract's `max_attempts`: a delivery that ends in a crash counts as an attempt. A message that the
// service gives back on its last attempt would never be delivered again: hence the copy.
import { isFinal, type Incoming, type Outcome } from "../call.ts";
import type { RetryContract } from "../contract.ts";
import { HandlerError } from "../error.ts";
import { serviceStopping } from "../stopping.ts";

export type Decision =
  | { readonly kind: "ack" }
  | { readonly kind: "nak"; readonly delayMs: number }
  | { readonly kind: "copy"; readonly attempt: number; readonly delayMs: number }
  | { readonly kind: "dead_letter"; readonly cause: string; readonly error: HandlerError };

/** Delays from here on are spent in the retry stream. */
export const longDelayMs = 2000;
/** Longest wait that a model server's own wish can cause. */
const longestDelayMs = 3_600_000;
const jitter = 0.2;

/** Answer to a request whose every attempt ended without a word, as a crash does. */
export const triedTooOften = new HandlerError("the request was tried too often without an end", "internal", {
  retryable: false,
});

/** Stands for the good end of a call whose answer may not have left the process. */
export const answerLost = new HandlerError("the connection broke before the answer was surely sent", "unavailable");

const acknowledged: Decision = { kind: "ack" };

/** The table. `random` in [0, 1) spreads the delays. */
export function decide(outcome: Outcome, incoming: Incoming, retry: RetryContract, random: number): Decision {
  if (outcome.ok) return acknowledged;
  const { error } = outcome;
  const { attempt, lastAttempt } = incoming;
  if (error.code === "canceled" && incoming.replyTo !== undefined) return acknowledged;
  if (error === serviceStopping || error === answerLost) {
    return lastAttempt ? { kind: "copy", attempt, delayMs: 0 } : { kind: "nak", delayMs: 0 };
  }
  if (isFinal(error, incoming)) {
    return { kind: "dead_letter", cause: error === triedTooOften ? "max_deliveries" : error.code, error };
  }
  const delayMs = retryDelay(error, attempt, retry, random);
  return delayMs < longDelayMs ? { kind: "nak", delayMs } : { kind: "copy", attempt: attempt + 1, delayMs };
}

/** Wait before the next attempt, ms: exponential with ± 20 %, or what the error asks for if that is longer. */
function retryDelay(error: HandlerError, attempt: number, retry: RetryContract, random: number): number {
  const { initialDelayMs, maxDelayMs, factor } = retry;
  const planned = Math.min(maxDelayMs, initialDelayMs * factor ** (attempt - 1));
  const spread = planned * (1 - jitter + 2 * jitter * random);
  return Math.round(Math.min(longestDelayMs, Math.max(spread, error.retryAfterMs ?? 0)));
}
