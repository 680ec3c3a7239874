// Error answers to messages that never became a call: they could not be read, identified, validated or taken in.
//
// I1  No id of another request or user is made up: a token that is not known is `_invalid`.
import { headers as natsHeaders, type NatsConnection } from "@nats-io/nats-core";
import { answerHeaders, errorAnswer, setErrorHeaders } from "../answer.ts";
import type { Incoming } from "../call.ts";
import { encode } from "../codec.ts";
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

/** Answers on the legal response subject if that is known, else where the id would stand as `_invalid`. */
export function rejectInPublic(
  nc: NatsConnection,
  { method, fallbackId }: Incoming,
  error: HandlerError,
  known: Known,
): void {
  const reply = method.contract.reply;
  if (reply === undefined) return;
  // The id that stands in for a missing one is not where its publisher listens.
  const statedId = known.requestId === fallbackId ? undefined : known.requestId;
  const token = (field: string) =>
    field === "user_id"
      ? (known.caller?.userId ?? "_invalid")
      : field === "request_id"
        ? (statedId ?? "_invalid")
        : "_invalid";
  const tokens = reply.subject.tokens.map((text) =>
    text.startsWith("{") ? token(text.slice(1, -1)) || "_invalid" : text,
  );
  const desc = method.folded?.output ?? method.output;
  const type = known.contentType ?? "application/x-protobuf";
  const body = encode(desc, errorAnswer(desc, error, known.requestId ?? ""), type);
  nc.publish(known.responseSubject ?? tokens.join("."), body, {
    headers: setErrorHeaders(answerHeaders(desc, type), error),
  });
}
