// Shadow mode: every event of one installation is copied to a second one, and both answers are compared. The first one may be served by
// the handlers that came before.
//
// I1  Nothing is published but copies, on subjects of the shadow installation.
// I2  A copy is a request of its own there: an answer subject of the publisher's choosing is taken off it, and frames are not asked for.
// I3  Memory is bounded: what comes while too many requests wait for their answers is passed over and counted.
import type { Message } from "@bufbuild/protobuf";
import { headers as natsHeaders, type Msg, type NatsConnection } from "@nats-io/nats-core";
import { contentTypeOf, decode, encode, loadMessagePack } from "../codec.ts";
import type { MethodContract } from "../contract.ts";
import { covers, fieldsOf, fill, type SubjectPattern } from "../subjects.ts";
import { headersFrom } from "../delivery/incoming.ts";
import { fieldNamed, readText, writeField } from "../fields.ts";
import { headers } from "../names.ts";
import { answerSubjects } from "./call.ts";
import { answerFilters, type Catalogue } from "./catalogue.ts";
import { receive } from "./receive.ts";
import { compare, readSide, type Comparison, type Waiting } from "./shadow-answer.ts";

export interface ShadowOptions {
  /** The services as they are. */
  readonly observed: Catalogue;
  /** The same services in the shadow installation. */
  readonly shadow: Catalogue;
  readonly signal: AbortSignal;
  /** Longest wait for an answer, ms. */
  readonly timeoutMs: number;
  /** Called when everything is listened to. */
  readonly onListening?: (subjects: readonly string[]) => void;
  /** Called for a request that is not compared, with the reason. */
  readonly onPassedOver?: (subject: string, why: string) => void;
}

const mostWaiting = 10_000;

/** Yields a comparison for each request, when both sides have answered or the time is up. Ends with the signal. */
export async function* compareWithShadow(
  nc: NatsConnection,
  { observed, shadow, signal, timeoutMs, onListening, onPassedOver }: ShadowOptions,
): AsyncGenerator<Comparison, void, undefined> {
  await loadMessagePack();
  const pairs = pairsOf(observed, shadow);
  const filters = widest(
    pairs.flatMap(({ first, second }) => [
      ...first.events.map(({ pattern }) => pattern.filter),
      ...(first.reply ? answerFilters(first.reply) : []),
      ...(second.reply ? answerFilters(second.reply) : []),
    ]),
  );
  const received = receive(nc, filters, signal);
  const bySubject = new Map<string, { waiting: Waiting; side: "first" | "shadow" }>();
  const inOrder = new Set<Waiting>();
  const done = (waiting: Waiting): Comparison => {
    inOrder.delete(waiting);
    for (const [subject, entry] of bySubject) if (entry.waiting === waiting) bySubject.delete(subject);
    return compare(waiting);
  };
  try {
    await nc.flush();
    onListening?.(filters);
    for (;;) {
      const [oldest] = inOrder;
      const wait = oldest && Math.max(1, oldest.since + timeoutMs - performance.now());
      const message = await received.next(wait);
      for (const waiting of inOrder) {
        if (performance.now() - waiting.since < timeoutMs) break;
        yield done(waiting);
      }
      if (message === undefined) continue;
      const answered = bySubject.get(message.subject);
      if (answered) {
        const { waiting, side } = answered;
        waiting[side] ??= readSide(message, waiting, side === "first" ? observed : shadow);
        if (waiting.first && waiting.shadow) yield done(waiting);
        continue;
      }
      const started = begin(message, pairs, inOrder.size);
      if (started === undefined) continue;
      if ("why" in started) {
        onPassedOver?.(message.subject, started.why);
        continue;
      }
      if (bySubject.has(started.firstAnswer)) continue; // the same request again
      inOrder.add(started.waiting);
      bySubject.set(started.firstAnswer, { waiting: started.waiting, side: "first" });
      bySubject.set(started.shadowAnswer, { waiting: started.waiting, side: "shadow" });
      nc.publish(started.copySubject, started.copy, { headers: started.copyHeaders });
    }
  } catch (reason) {
    if (!signal.aborted) throw reason;
  } finally {
    received.close();
  }
}

interface Pair {
  readonly first: MethodContract;
  readonly second: MethodContract;
}

/** Methods that are reached by events and give one answer on a subject of its own. */
function pairsOf(observed: Catalogue, shadow: Catalogue): Pair[] {
  return observed.methods.flatMap((first) => {
    const second = shadow.methods.find(({ name }) => name === first.name);
    const { reply, events } = first;
    if (second === undefined || reply === undefined || events.length === 0) return [];
    return reply.frames?.text === reply.subject.text ? [] : [{ first, second }];
  });
}

interface Begun {
  readonly waiting: Waiting;
  readonly firstAnswer: string;
  readonly shadowAnswer: string;
  readonly copySubject: string;
  readonly copy: Uint8Array;
  readonly copyHeaders: ReturnType<typeof natsHeaders>;
}

/** Undefined for a message that is no request. */
function begin(message: Msg, pairs: readonly Pair[], count: number): Begun | { why: string } | undefined {
  const { subject } = message;
  for (const { first, second } of pairs) {
    const index = first.events.findIndex(({ pattern }) => covers(pattern.filter, subject));
    const event = first.events[index];
    const target = second.events[index];
    if (event === undefined || target === undefined) continue;
    if (count >= mostWaiting) return { why: "too many requests wait for their answers" };
    const { input } = first.desc;
    let request: Message;
    try {
      const given = message.headers?.get(headers.contentType);
      request = decode(input, message.data, contentTypeOf(given, message.data));
    } catch {
      return { why: `it is no ${input.typeName}` };
    }
    const stated = readText(input, request, "request_id") || message.headers?.get(headers.requestId);
    const requestId = stated || message.headers?.get("Nats-Msg-Id");
    if (!requestId) return { why: "it has no request id, so that its answer cannot be told" };
    writeField(input, request, "request_id", requestId);
    const values = fieldsOf(event.pattern, subject);
    const { answerSubject } = answerSubjects(first, request, values);
    const { overrideField, framesField } = first.reply ?? {};
    if (overrideField !== undefined) writeField(input, request, overrideField, ""); // I2
    if (framesField !== undefined && fieldNamed(input, framesField)) writeField(input, request, framesField, false);
    const { answerSubject: shadowAnswer } = answerSubjects(second, request, values);
    const copySubject = filled(target.pattern, values);
    if (answerSubject === undefined || shadowAnswer === undefined || copySubject === undefined) {
      return { why: "its answer has no subject" };
    }
    const copyHeaders = headersFrom(message.headers);
    for (const name of [headers.contentType, headers.replyTo, headers.control, headers.credits])
      copyHeaders.delete(name);
    return {
      waiting: { method: first, subject, requestId, since: performance.now() },
      firstAnswer: answerSubject,
      shadowAnswer,
      copySubject,
      copy: encode(input, request, "application/x-protobuf"),
      copyHeaders,
    };
  }
  return undefined;
}

const filled = (pattern: SubjectPattern, values: ReadonlyMap<string, string>) =>
  fill(pattern, (field) => values.get(field));

/** Filters without those that lie within another: each message comes once. */
export function widest(filters: readonly string[]): string[] {
  const all = [...new Set(filters)];
  return all.filter((one) => all.every((other) => other === one || !covers(other, one)));
}
