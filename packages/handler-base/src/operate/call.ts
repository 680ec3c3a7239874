// A call by name, as a tool makes it: on the request subject by the typed client, or as an event by bare protobuf on an event subject.
//
// I1  On the event way everything that may answer is subscribed to before the request is published.
// I2  What the publisher wrote is published as it stands; only what an answer needs is filled in where it is missing: a request id, and
//     the wish for frames.
import {
  fromJson,
  isFieldSet,
  type DescMessage,
  type DescService,
  type JsonValue,
  type Message,
} from "@bufbuild/protobuf";
import { errors, nuid, type NatsConnection } from "@nats-io/nats-core";
import { errorFromHeaders, isLastFrame } from "../answer.ts";
import { createClaimCheck } from "../claim-check.ts";
import { createClient } from "../client.ts";
import { contentTypeOf, decode, encode } from "../codec.ts";
import type { MethodContract } from "../contract.ts";
import { fieldsOf, fill } from "../subjects.ts";
import { HandlerError } from "../error.ts";
import { fieldNamed, readField, readText, writeField } from "../fields.ts";
import { headers, names } from "../names.ts";
import type { CallOptions } from "../outgoing-call.ts";
import { answerType, methodAt, type Catalogue } from "./catalogue.ts";
import { receive, type Received } from "./receive.ts";

/** A piece of an answer: a frame of a stream, or the one answer. */
export interface Piece {
  readonly kind: "frame" | "answer";
  readonly type: DescMessage;
  readonly message: Message;
}

/** A request from ProtoJSON. Throws `invalid_argument` that names what is wrong. */
export function requestFrom({ desc }: MethodContract, json: JsonValue): Message {
  try {
    return fromJson(desc.input, json);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new HandlerError(`the request is no ${desc.input.typeName}: ${why}`, "invalid_argument", { cause });
  }
}

type Invoke = (request: Message, options: CallOptions) => Promise<Message> | AsyncIterable<Message>;

/** Calls a method on its request subject. Throws the HandlerError that ended the call; an early leave cancels it. */
export async function* callMethod(
  nc: NatsConnection,
  { at }: Catalogue,
  method: MethodContract,
  request: Message,
  options: CallOptions,
): AsyncGenerator<Piece, void, undefined> {
  const { desc } = method;
  const client = createClient<DescService>(desc.parent, nc, { installation: at.name });
  const functions = client as unknown as Readonly<Record<string, Invoke>>; // the client's type follows from a service known at compile time
  const answer = functions[desc.localName]?.(request, options);
  if (answer === undefined) throw new HandlerError(`${method.name} has no function`, "unimplemented");
  if (Symbol.asyncIterator in answer) {
    for await (const message of answer) yield { kind: "frame", type: desc.output, message };
  } else {
    yield { kind: "answer", type: desc.output, message: await answer };
  }
}

/** Longest wait for frames that are still under way when the one answer is there, ms. */
const stragglersMs = 2000;

/**
 * Publishes a request on an event subject and yields frames and the answer from where the contract puts them. Returns at once after the
 * publish where the contract has no answer. Throws the HandlerError of an error answer; `deadline_exceeded` after `timeoutMs`.
 */
export async function* publishEvent(
  nc: NatsConnection,
  catalogue: Catalogue,
  subject: string,
  json: JsonValue,
  { signal, timeoutMs }: { signal: AbortSignal; timeoutMs: number },
): AsyncGenerator<Piece, void, undefined> {
  const { method, pattern } = methodAt(catalogue, subject);
  const { input } = method.desc;
  const request = requestFrom(method, json);
  if (readText(input, request, "request_id") === "") writeField(input, request, "request_id", nuid.next());
  const framesField = method.reply?.framesField;
  const asksForFrames = framesField === undefined ? undefined : fieldNamed(input, framesField);
  if (
    asksForFrames &&
    !isFieldSet(request, asksForFrames) &&
    !mentions(json, asksForFrames.name, asksForFrames.jsonName)
  ) {
    writeField(input, request, asksForFrames.name, true);
  }
  const { answerSubject, framesSubject } = answerSubjects(method, request, fieldsOf(pattern, subject));
  const until = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  const subjects = [...new Set([framesSubject, answerSubject].filter((one) => one !== undefined))];
  const received = receive(nc, subjects, until);
  try {
    await nc.flush(); // I1
    await publish(nc, catalogue, subject, encode(input, request, "application/x-protobuf"), timeoutMs);
    if (subjects.length > 0) yield* answers(nc, catalogue, method, received, { answerSubject, framesSubject });
  } catch (reason) {
    if (signal.aborted) throw new HandlerError("interrupted", "canceled", { cause: reason });
    if (until.aborted && !(reason instanceof HandlerError)) {
      const where = subjects.join(" and ");
      throw new HandlerError(`no answer on ${where} within ${timeoutMs} ms`, "deadline_exceeded", { cause: reason });
    }
    throw reason;
  } finally {
    received.close();
  }
}

export interface AnswerSubjects {
  readonly answerSubject: string | undefined;
  readonly framesSubject: string | undefined;
}

/** Where frames and answer of this request go. */
export function answerSubjects(
  { desc: { input }, reply }: MethodContract,
  request: Message,
  fromSubject: ReadonlyMap<string, string>,
): AnswerSubjects {
  if (reply === undefined) return { answerSubject: undefined, framesSubject: undefined };
  const valueOf = (field: string) => fromSubject.get(field) ?? (readText(input, request, field) || undefined);
  const override = reply.overrideField && readText(input, request, reply.overrideField);
  const framed = reply.framesField === undefined || readField(input, request, reply.framesField) === true;
  return {
    answerSubject: override || fill(reply.subject, valueOf),
    framesSubject: framed && reply.frames ? fill(reply.frames, valueOf) : undefined,
  };
}

async function publish(
  nc: NatsConnection,
  { at }: Catalogue,
  subject: string,
  data: Uint8Array,
  timeoutMs: number,
): Promise<void> {
  const claimCheck = createClaimCheck(nc, names(at));
  if (claimCheck.isTooLarge(data)) {
    throw new HandlerError(
      "the request is larger than a message may be on this server; call it by its name instead of --subject",
      "resource_exhausted",
    );
  }
  try {
    const ack = await nc.request(subject, data, { timeout: Math.min(timeoutMs, 5000) });
    const { error } = ack.json<{ error?: { description?: string } }>();
    if (error)
      throw new HandlerError(`the stream refused the request: ${error.description ?? "no reason"}`, "unavailable");
  } catch (cause) {
    if (cause instanceof HandlerError) throw cause;
    const why =
      cause instanceof errors.RequestError && cause.isNoResponders()
        ? `no stream captures ${subject}; provision it first (handlers provision)`
        : `the server did not confirm the publish on ${subject}`;
    throw new HandlerError(why, "unavailable", { cause });
  }
}

async function* answers(
  nc: NatsConnection,
  catalogue: Catalogue,
  method: MethodContract,
  received: Received,
  { answerSubject, framesSubject }: AnswerSubjects,
): AsyncGenerator<Piece, void, undefined> {
  const claimCheck = createClaimCheck(nc, names(catalogue.at));
  const { output } = method.desc;
  const finalType = answerType(catalogue, method);
  let waitingForFrames = framesSubject !== undefined;
  let attempt = 1;
  let failure: HandlerError | undefined;
  let answer: Piece | undefined;
  for (;;) {
    const message = await received.next(answer && waitingForFrames ? stragglersMs : undefined);
    if (message === undefined) break; // frames that are late are not waited for
    const data = await claimCheck.load(message.data, message.headers);
    const stated = message.headers?.get(headers.type);
    const isFrame = stated ? stated === output.typeName && output !== finalType : message.subject === framesSubject;
    const type = isFrame || message.subject !== answerSubject ? output : finalType;
    const body = decode(type, data, contentTypeOf(message.headers?.get(headers.contentType), data));
    const error = errorFromHeaders(message.headers, body, type);
    const onFrames = message.subject === framesSubject && (isFrame || answerSubject === framesSubject);
    if (error) {
      failure = error;
      break;
    }
    if (onFrames) {
      const frameAttempt = Number(message.headers?.get(headers.attempt) || 1);
      if (frameAttempt < attempt) continue; // of an attempt that was given up
      attempt = frameAttempt;
      yield { kind: "frame", type, message: body };
      if (isLastFrame(type, body) || readField(type, body, "is_last") === true) {
        waitingForFrames = false;
        if (answerSubject === framesSubject) return;
      }
    } else {
      answer = { kind: "answer", type, message: body };
    }
    if (answer && !waitingForFrames) break;
  }
  if (failure) throw failure;
  if (answer) yield answer;
}

function mentions(json: JsonValue, ...fields: readonly string[]): boolean {
  return typeof json === "object" && json !== null && !Array.isArray(json) && fields.some((field) => field in json);
}
