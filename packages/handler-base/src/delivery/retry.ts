// Copies of failed messages that wait in the handler's private stream until the next attempt is due. The server's scheduler delivers them.
//
// I1  One schedule subject per chain: a later copy replaces an earlier one, so that a death between copy and ack makes no second chain.
// I2  A copy has everything that the next attempt needs in headers of ours: attempt, subject, first publish, absolute deadline, request
//     id. No `Nats-*` header of the publisher comes along.
import { statedDeadline } from "../deadline.ts";
import type { Names } from "../names.ts";
import { headers } from "../names.ts";
import { insist } from "./insist.ts";
import { headersFrom, type Arrived } from "./incoming.ts";
import type { Publisher } from "../publisher.ts";

export interface Copy {
  readonly attempt: number;
  readonly delayMs: number;
  /** Undefined where the message was never read so far. */
  readonly requestId: string | undefined;
}

/** Resolves when the stream has stored the copy; rejects when it could not be stored. */
export async function scheduleCopy(
  publisher: Publisher,
  names: Names,
  { incoming, origin }: Arrived,
  { attempt, delayMs, requestId }: Copy,
  signal: AbortSignal,
): Promise<void> {
  const { handler, token } = incoming.method.contract;
  const out = headersFrom(incoming.headers);
  out.set("Nats-Schedule", `@at ${new Date(Date.now() + delayMs).toISOString()}`);
  out.set("Nats-Schedule-Target", names.retry(handler, token));
  out.set(headers.attempt, String(attempt));
  out.set(headers.origin, origin);
  out.set(headers.originalSubject, incoming.subject);
  out.set(headers.publishedAt, String(Math.floor(incoming.publishedAt)));
  if (requestId !== undefined) out.set(headers.requestId, requestId);
  const deadline = statedDeadline(incoming);
  if (deadline !== undefined) {
    out.delete(headers.deadlineMs);
    out.set(headers.deadlineAt, String(deadline));
  }
  await insist(publisher, names.later(handler, origin), incoming.data, { headers: out, signal });
}
