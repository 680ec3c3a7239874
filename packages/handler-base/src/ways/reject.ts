// Error answers to messages that never became a call: they could not be read, identified, validated or taken in.
//
// I1  No id of another request or user is made up: a token that is not known is `_invalid`.
// I2  Under an id that has a run or an answer nothing is said in public: it may be another user's, who would take the error for his answer.
import { headers as natsHeaders, type NatsConnection } from "@nats-io/nats-core";
import { answerHeaders, errorAnswer, setErrorHeaders } from "../answer.ts";
import type { Answers } from "../answers/open.ts";
import type { Incoming } from "../call.ts";
import { encode } from "../codec.ts";
import { fieldsOf, isToken } from "../subjects.ts";
import type { Known } from "../dispatch.ts";
import type { HandlerError } from "../error.ts";

/** Answers at the caller's inbox, if it has one. A stream is ended as well. */
export function rejectToInbox(
  nc: NatsConnection,
  { method, replyTo }: Incoming,
  error: HandlerError,
  known: Known,
): void {
  if (replyTo === undefined) return;
  const { output, handler } = method;
  const type = known.contentType ?? "application/x-protobuf";
  const body = encode(output, errorAnswer(output, error, known.requestId ?? ""), type);
  nc.publish(replyTo, body, { headers: setErrorHeaders(answerHeaders(output, type), error) });
  if (handler.kind === "server_streaming") {
    nc.publish(replyTo, new Uint8Array(), { headers: setErrorHeaders(natsHeaders(), error) });
  }
}

/**
 * Answers on the legal response subject if that is known, else where the id would stand as `_invalid`. Rejects with `unavailable` where
 * it cannot be found out whether that subject is somebody else's.
 */
export async function rejectInPublic(
  nc: NatsConnection,
  incoming: Incoming,
  error: HandlerError,
  known: Known,
  isSpokenFor: Answers["isSpokenFor"],
): Promise<void> {
  const { method, fallbackId } = incoming;
  // The id that stands in for a missing one is not where its publisher listens.
  const requestId = known.requestId === fallbackId ? undefined : known.requestId;
  const to = known.responseSubject ?? subjectFor(incoming, known, requestId);
  if (to === undefined) return;
  if (method.contract.storedAnswer && requestId !== undefined && (await isSpokenFor(method, requestId, to))) return; // I2
  const desc = method.folded?.output ?? method.output;
  const type = known.contentType ?? "application/x-protobuf";
  const body = encode(desc, errorAnswer(desc, error, known.requestId ?? ""), type);
  nc.publish(to, body, { headers: setErrorHeaders(answerHeaders(desc, type), error) });
}

function subjectFor(
  { method, pattern, subject }: Incoming,
  known: Known,
  requestId: string | undefined,
): string | undefined {
  const reply = method.contract.reply;
  if (reply === undefined) return undefined;
  const values = pattern ? fieldsOf(pattern, subject) : new Map<string, string>();
  const tokens = reply.subject.tokens.map((text) => {
    if (!text.startsWith("{")) return text;
    const field = text.slice(1, -1);
    const value =
      field === "request_id" ? requestId : (values.get(field) ?? (field === "user_id" ? known.caller?.userId : ""));
    return value !== undefined && isToken(value) ? value : "_invalid";
  });
  return tokens.join(".");
}
