// Who calls, which request it is and where its answer may go.
//
// I1  A user id in a subject token is the identity: NATS permissions enforce it. Another one in the payload is an error.
// I2  A response subject of the caller's choosing is a literal that ends in the request's own id under the method's prefix, or lies
//     under one of the contract's override prefixes for this caller. Nobody has an answer published anywhere else.
import type { Message } from "@bufbuild/protobuf";
import { nuid } from "@nats-io/nats-core";
import type { Incoming } from "./call.ts";
import type { Caller } from "./context.ts";
import type { ReplyContract } from "./contract.ts";
import { fieldsOf, fill, isToken, literalPrefix } from "./subjects.ts";
import { HandlerError } from "./error.ts";
import { readField, readText, writeField } from "./fields.ts";
import { headers } from "./names.ts";

/** What a request says of itself; also what an error answer can use when the rest turns out bad. */
export interface Identity {
  caller: Caller;
  requestId: string;
  /** True if the id was the publisher's own. */
  ownId: boolean;
  responseSubject: string | undefined;
  framesSubject: string | undefined;
}

/**
 * Identifies a request and completes its id fields from the subject and the headers. Fills `known` as it goes, so that what is usable
 * reaches the error answer. Throws `permission_denied` or `invalid_argument`.
 */
export function identify(incoming: Incoming, request: Message, known: Partial<Identity>): Identity {
  const { method, pattern, subject, way } = incoming;
  const { input, contract } = method;
  const fromSubject = pattern ? fieldsOf(pattern, subject) : undefined;

  const { requestId, ownId } = requestIdOf(incoming, request);
  if (!isToken(requestId)) {
    throw new HandlerError("request_id must be one token of a subject: no dot, space, * or >", "invalid_argument");
  }
  known.requestId = requestId;
  known.ownId = ownId;
  if (readText(input, request, "request_id") === "") writeField(input, request, "request_id", requestId);

  for (const [field, value] of fromSubject ?? []) {
    const stated = readText(input, request, field);
    if (stated !== "" && stated !== value) {
      throw new HandlerError(
        `${field} in the payload is not the one in the subject`,
        field === "user_id" ? "permission_denied" : "invalid_argument",
      );
    }
    writeField(input, request, field, value);
  }
  const caller: Caller = {
    userId: readText(input, request, "user_id"),
    verified: fromSubject?.has("user_id") ?? false,
  };
  known.caller = caller;

  const reply = contract.reply ?? method.source?.contract.reply;
  const valueOf = (field: string) => readText(input, request, field) || undefined;
  if (reply) {
    known.responseSubject = responseSubject(reply, request, incoming, caller, requestId, ownId, valueOf);
    if (way === "event" && reply.frames && wantsFrames(reply, request, incoming)) {
      known.framesSubject = fill(reply.frames, valueOf);
    }
  }
  return {
    caller,
    requestId,
    ownId,
    responseSubject: known.responseSubject,
    framesSubject: known.framesSubject,
  };
}

function requestIdOf(incoming: Incoming, request: Message): { requestId: string; ownId: boolean } {
  const stated =
    readText(incoming.method.input, request, "request_id") ||
    incoming.headers?.get(headers.requestId) ||
    incoming.headers?.get("Nats-Msg-Id");
  if (stated) return { requestId: stated, ownId: true };
  if (incoming.fallbackId !== undefined) return { requestId: incoming.fallbackId, ownId: true };
  return { requestId: nuid.next(), ownId: false };
}

function responseSubject(
  reply: ReplyContract,
  request: Message,
  { method: { input }, way, pattern, fallbackId }: Incoming,
  caller: Caller,
  requestId: string,
  ownId: boolean,
  valueOf: (field: string) => string | undefined,
): string | undefined {
  const override = reply.overrideField && readText(input, request, reply.overrideField);
  if (override) {
    if (!isLegal(override, reply, caller, requestId)) {
      throw new HandlerError(
        `${reply.overrideField} must be a literal subject that ends in the request's own id below ${literalPrefix(reply.subject)}, or lie below ${reply.overridePrefixes.join(" or ")}`,
        "invalid_argument",
      );
    }
    return override;
  }
  // A publisher that names no id could not know where to listen: say so instead of answering where nobody is. A call on the durable
  // subject, which no pattern matches, is answered to its inbox.
  if (
    way === "event" &&
    pattern !== undefined &&
    reply.subject.fields.has("request_id") &&
    (!ownId || requestId === fallbackId)
  ) {
    throw new HandlerError("request_id is required: the answer's subject holds it", "invalid_argument");
  }
  return fill(reply.subject, valueOf);
}

function isLegal(subject: string, reply: ReplyContract, caller: Caller, requestId: string): boolean {
  const tokens = subject.split(".");
  if (subject.length > 512 || !tokens.every(isToken)) return false;
  if (reply.frames && subject.startsWith(literalPrefix(reply.frames))) return false;
  if (subject.startsWith(literalPrefix(reply.subject)) && tokens.at(-1) === requestId) return true;
  if (!isToken(caller.userId)) return false;
  return reply.overridePrefixes.some((prefix) => {
    const own = prefix.replace("{user_id}", caller.userId);
    return subject.startsWith(own) && subject.length > own.length;
  });
}

function wantsFrames(reply: ReplyContract, request: Message, { method: { input } }: Incoming): boolean {
  return reply.framesField === undefined || readField(input, request, reply.framesField) === true;
}
