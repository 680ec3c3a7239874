// When the call that a message asks for must be done.
//
// I1  A time that the publisher sets counts from the publish, through all attempts, and is at most an hour.
// I2  The contract's time counts from this delivery, so that an outage does not turn a backlog into dead letters.
import type { Incoming } from "./call.ts";
import { HandlerError } from "./error.ts";
import { headers } from "./names.ts";

/** Longest time that a publisher may ask for, ms. */
const longestMs = 3_600_000;

/** Unix ms. Throws `invalid_argument` on a header that holds no time. */
export function deadlineOf(incoming: Incoming): number {
  const stated = statedDeadline(incoming);
  if (stated !== undefined) return stated;
  if (incoming.headers?.get(headers.deadlineMs)) {
    throw new HandlerError(
      `header ${headers.deadlineMs} must be a positive number of milliseconds`,
      "invalid_argument",
    );
  }
  return Date.now() + incoming.method.contract.deadlineMs; // I2
}

/** The publisher's own deadline, Unix ms; undefined where it set none that can be read. */
export function statedDeadline({ headers: given, publishedAt }: Incoming): number | undefined {
  const latest = Math.round(publishedAt + longestMs);
  const absolute = Number(given?.get(headers.deadlineAt) || Number.NaN);
  if (absolute > 0) return Math.min(absolute, latest);
  const relative = Number(given?.get(headers.deadlineMs) || Number.NaN);
  return relative > 0 ? Math.min(Math.round(publishedAt + relative), latest) : undefined; // I1
}
