// What the library itself writes into answers: the embedded error, the fields that every frame has, and the headers that name type and
// status. Handlers never see any of it.
import { create, type DescMessage, type Message, type MessageInitShape } from "@bufbuild/protobuf";
import { headers as natsHeaders, type MsgHdrs } from "@nats-io/nats-core";
import { ErrorResponseSchema } from "@pipeline/messages";
import type { ContentType } from "./codec.ts";
import type { HandlerError } from "./error.ts";
import { codeOf, HandlerError as CallError } from "./error.ts";
import { fieldNamed, readField, readText, writeField, writeNumber } from "./fields.ts";
import { headers } from "./names.ts";

/** An answer that says that the request failed: the embedded ErrorResponse, and the request's id where it is known. */
export function errorAnswer(desc: DescMessage, error: HandlerError, requestId: string): Message {
  const body = {
    error: true,
    message: error.message,
    type: error.code,
    requestId,
    retryAfterMs: BigInt(Math.ceil(error.retryAfterMs ?? 0)),
    violations: [...error.violations],
  };
  const answer = create(desc, fieldNamed(desc, "error") ? { error: body } : {});
  writeField(desc, answer, "request_id", requestId);
  return answer;
}

/** The last frame of a stream that failed. */
export function errorFrame(desc: DescMessage, error: HandlerError, at: FramePosition): Message {
  return stampFrame(desc, errorAnswer(desc, error, at.requestId), "error", at);
}

export interface FramePosition {
  readonly requestId: string;
  readonly sequence: number;
  readonly attempt: number;
}

/** Fills what every frame says of itself, where its type has the fields: id, sequence, attempt, type, end mark, time. */
export function stampFrame(desc: DescMessage, frame: Message, type: string, at: FramePosition): Message {
  writeNumber(desc, frame, "sequence", at.sequence);
  writeField(desc, frame, "attempt", at.attempt);
  if (readText(desc, frame, "type") === "") writeField(desc, frame, "type", type);
  if (readText(desc, frame, "request_id") === "") writeField(desc, frame, "request_id", at.requestId);
  if (isLastFrame(desc, frame)) {
    writeField(desc, frame, "done", true);
    writeField(desc, frame, "is_last", true);
  }
  if (readField(desc, frame, "timestamp") === 0) writeField(desc, frame, "timestamp", Date.now() / 1000);
  return frame;
}

/** Whether a frame says itself that it is the last one. */
export function isLastFrame(desc: DescMessage, frame: Message): boolean {
  const type = readText(desc, frame, "type");
  return type === "done" || type === "error";
}

/** Whether frames of this type can say `restart` and `done`. */
export function hasFrameType(desc: DescMessage): boolean {
  return fieldNamed(desc, "type") !== undefined;
}

/** Headers of an answer: its type, and its content type where that is not protobuf. */
export function answerHeaders(desc: DescMessage, type: ContentType): MsgHdrs {
  const out = natsHeaders();
  out.set(headers.type, desc.typeName);
  if (type !== "application/x-protobuf") out.set(headers.contentType, type);
  return out;
}

const good = new WeakMap<DescMessage, Map<ContentType, MsgHdrs>>();

/** Headers of a good last answer, the same for all of a type: made and encoded once. Not to be changed. */
export function goodAnswerHeaders(desc: DescMessage, type: ContentType): MsgHdrs {
  let byType = good.get(desc);
  if (byType === undefined) good.set(desc, (byType = new Map()));
  let known = byType.get(type);
  if (known === undefined) {
    known = answerHeaders(desc, type);
    known.set(headers.status, "ok");
    byType.set(type, encodedOnce(known));
  }
  return known;
}

/** The client library encodes headers at every publish. */
function encodedOnce(out: MsgHdrs): MsgHdrs {
  if (!("encode" in out) || typeof out.encode !== "function") return out;
  const bytes: unknown = out.encode();
  return Object.assign(out, { encode: () => bytes });
}

/** Adds the ADR-32 error headers and ours. */
export function setErrorHeaders(out: MsgHdrs, error: HandlerError): MsgHdrs {
  out.set(headers.error, error.message.replaceAll(/[\r\n]+/g, " "));
  out.set(headers.errorCode, String(error.number));
  if (error.retryAfterMs !== undefined) out.set(headers.retryAfterMs, String(Math.ceil(error.retryAfterMs)));
  return out;
}

/** The error that a message's headers tell, or undefined. */
export function errorFromHeaders(
  from: MsgHdrs | undefined,
  body: Message | undefined,
  desc: DescMessage,
): HandlerError | undefined {
  const message = from?.get(headers.error);
  const number = from?.get(headers.errorCode);
  if (!message && !number) return undefined;
  const embedded = body && (readField(desc, body, "error") as MessageInitShape<typeof ErrorResponseSchema> | undefined);
  const retryAfter = Number(from?.get(headers.retryAfterMs));
  return new CallError(message ?? "the call failed", codeOf(Number(number)), {
    ...(retryAfter > 0 && { retryAfterMs: retryAfter }),
    violations: embedded?.violations ?? [],
  });
}
