// From a stored message to the call that it asks for: which attempt it is, where it was first published, and which headers count.
//
// I1  What the library writes into retry copies is believed only on the retry stream, where nobody else may publish. On streams that
//     strangers publish to, the same headers are taken off: by them a publisher could speak for another user or skip its attempts.
// I2  Only calls on the durable subjects, which match no event pattern, may name an inbox for their answers, and nothing but an inbox.
import { Match, headers as natsHeaders, type Msg, type MsgHdrs } from "@nats-io/nats-core";
import type { Incoming, Method } from "../call.ts";
import { covers, type SubjectPattern } from "../subjects.ts";
import { headersOf } from "../header-block.ts";
import { headers } from "../names.ts";
import { isInbox } from "../reply-subject.ts";

/** Which stream a consumer pulls from: the contract's, the handler's private retries, or the durable fallback of request subjects. */
export type Kind = "events" | "retry" | "interactive";

/** A message as a stream holds it. */
export interface Stored {
  readonly stream: string;
  readonly seq: number;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: MsgHdrs | undefined;
  /** When it was stored, Unix ms with a fraction: a publish and an answer within one millisecond have an order. */
  readonly timeMs: number;
  /** How often it was delivered, this time included. */
  readonly deliveries: number;
}

/** A call's message with what only the durable path knows of it. */
export interface Arrived {
  readonly incoming: Incoming;
  /** Stream and sequence of the first message of its chain of copies: one subject token, the same for all of them. */
  readonly origin: string;
}

const privateHeaders = [
  headers.attempt,
  headers.originalSubject,
  headers.publishedAt,
  headers.deadlineAt,
  headers.origin,
  headers.cause,
  headers.causeMessage,
  headers.deliveries,
];

/** A delivered message; its reply subject tells where it is stored. Throws an Error on any other message. */
export function storedOf(message: Msg): Stored {
  const reply = message.reply ?? "";
  const count = findDots(reply);
  // $JS.ACK.[domain.account.]stream.consumer.deliveries.sequence.delivered.time.pending[.random]
  const at = count === 8 ? 2 : 4;
  if (count < at + 6 || !reply.startsWith("$JS.ACK.")) {
    throw new Error("a message without delivery information came to a pull inbox");
  }
  return {
    stream: token(reply, at),
    seq: Number(token(reply, at + 3)),
    subject: message.subject,
    data: message.data,
    headers: headersOf(message),
    timeMs: Number(token(reply, at + 5)) / 1e6,
    deliveries: Number(token(reply, at + 2)),
  };
}

/** Where the dots of the last reply subject are: kept from message to message, since half of its tokens are never needed. */
const dots = new Uint16Array(12);

/** Number of dots, at most as many as a reply subject of the server can have. */
function findDots(reply: string): number {
  let count = 0;
  for (let at = reply.indexOf("."); at !== -1 && count < dots.length; at = reply.indexOf(".", at + 1)) {
    dots[count] = at;
    count += 1;
  }
  return count;
}

/** A token that has a dot before and behind it. */
function token(reply: string, index: number): string {
  return reply.slice((dots[index - 1] ?? 0) + 1, dots[index]);
}

/** The call that a message asks for. */
export function arrivedFrom(stored: Stored, method: Method, kind: Kind): Arrived {
  const own = `${stored.stream}-${stored.seq}`;
  const given = stored.headers;
  const trusted = kind === "retry" ? given : undefined;
  if (given && !trusted) for (const name of privateHeaders) given.delete(name, Match.IgnoreCase);
  const subject = trusted?.get(headers.originalSubject) || stored.subject;
  const pattern = patternOf(method, subject);
  const attempt = wholeNumber(trusted?.get(headers.attempt), 1) + stored.deliveries - 1;
  return {
    origin: trusted?.get(headers.origin) || own,
    incoming: {
      method,
      way: "event",
      subject,
      pattern,
      data: stored.data,
      headers: given,
      replyTo: pattern === undefined ? inboxIn(given) : undefined, // I2
      attempt,
      lastAttempt: attempt >= method.contract.retry.maxAttempts,
      publishedAt: wholeNumber(trusted?.get(headers.publishedAt), stored.timeMs),
      fallbackId: kind === "retry" ? undefined : own,
      answeredAt: undefined,
    },
  };
}

function patternOf({ contract }: Method, subject: string): SubjectPattern | undefined {
  for (const { pattern } of contract.events) if (covers(pattern.filter, subject)) return pattern;
  return undefined;
}

function inboxIn(given: MsgHdrs | undefined): string | undefined {
  const inbox = given?.get(headers.replyTo);
  return inbox && isInbox(inbox) ? inbox : undefined;
}

/** Headers for a message made of another: what publishers gave, without what belongs to one message only. */
export function headersFrom(given: MsgHdrs | undefined): MsgHdrs {
  const out = natsHeaders();
  for (const [name, values] of given ?? []) {
    if (/^nats-/i.test(name) || privateHeaders.some((one) => one.toLowerCase() === name.toLowerCase())) continue;
    for (const value of values) if (!/[\r\n]/.test(value)) out.append(name, value);
  }
  return out;
}

function wholeNumber(text: string | undefined, otherwise: number): number {
  const value = Number(text || Number.NaN);
  return Number.isSafeInteger(value) && value > 0 ? value : otherwise;
}
