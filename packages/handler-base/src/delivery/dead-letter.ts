// Dead letters: messages that nobody will try again by himself, kept whole with the reason why.
//
// I1  The payload is the publisher's, byte for byte; headers tell the rest. No `Nats-*` header, inbox, attempt or deadline comes along: a
//     letter that is replayed begins anew.
// I2  One letter a chain: its Nats-Msg-Id follows from the first message, so that a second try to write it does nothing.
import { errors, type MsgHdrs } from "@nats-io/nats-core";
import type { HandlerError } from "../error.ts";
import { headers, type Names } from "../names.ts";
import { headersFrom, type Arrived } from "./incoming.ts";
import { insist } from "./insist.ts";
import type { Publisher } from "../publisher.ts";

export interface Reason {
  /** Code of the error, or `max_deliveries`: one subject token. */
  readonly cause: string;
  readonly error: HandlerError;
  /** Undefined where the message could not be read so far. */
  readonly requestId: string | undefined;
}

const longestMessage = 500;
const ofTheCall = [headers.deadlineMs, headers.replyTo, headers.control, headers.credits];

/** What publishers gave, without what belongs to one message or to one call only. */
export function lastingHeaders(given: MsgHdrs | undefined): MsgHdrs {
  const out = headersFrom(given);
  for (const name of ofTheCall) out.delete(name);
  return out;
}

/** Resolves when the stream has stored the letter; rejects when it could not be stored. */
export async function writeDeadLetter(
  publisher: Publisher,
  names: Names,
  arrived: Arrived,
  { cause, error, requestId }: Reason,
  signal: AbortSignal,
): Promise<void> {
  const { incoming, origin } = arrived;
  const { handler, token } = incoming.method.contract;
  const subject = names.deadLetter(handler, token, cause);
  const tell = (out: MsgHdrs) => {
    out.set("Nats-Msg-Id", `${origin}-${Math.floor(incoming.publishedAt)}`);
    out.set(headers.origin, origin);
    out.set(headers.cause, cause);
    out.set(headers.causeMessage, error.message.replaceAll(/\s+/g, " ").slice(0, longestMessage));
    out.set(headers.deliveries, String(incoming.attempt));
    out.set(headers.originalSubject, incoming.subject);
    out.set(headers.publishedAt, String(Math.floor(incoming.publishedAt)));
    if (requestId !== undefined) out.set(headers.requestId, requestId);
    return out;
  };
  const out = tell(lastingHeaders(incoming.headers));
  try {
    await insist(publisher, subject, incoming.data, { headers: out, signal });
  } catch (reason) {
    if (!(reason instanceof errors.InvalidArgumentError)) throw reason;
    // With our headers it is larger than the server takes. A letter without its payload still says what happened.
    await insist(publisher, subject, new Uint8Array(), { headers: tell(headersFrom(undefined)), signal });
  }
}
