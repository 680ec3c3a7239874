// Answers to events: frames on the frames subject while the call runs, one final answer on the response subject; or all of it to an inbox,
// for a call that came through the durable subject.
//
// I1  Only the last attempt's failure is answered: a failure that will be retried stays silent.
// I2  An answer that is stored is not published here: the server republishes it from where it is stored.
// I3  `already_exists` is told to an inbox only, never on a response subject.
// I4  A good answer is published and not waited for: the acknowledgement follows it on the same connection (delivery/consumer.ts). What is
//     told of a failure is waited for, since its message ends with a dead letter that outlasts the connection.
import type { Message } from "@bufbuild/protobuf";
import type { NatsConnection } from "@nats-io/nats-core";
import { answerHeaders, goodAnswerHeaders, errorAnswer, errorFrame, setErrorHeaders } from "../answer.ts";
import type { FramePublisher } from "../answers/frames.ts";
import type { Answers } from "../answers/open.ts";
import { isFinal, type Call, type ReplySink } from "../call.ts";
import { encode } from "../codec.ts";
import { isAnsweredOnce, type Way } from "../dispatch.ts";
import type { HandlerError } from "../error.ts";
import { createInboxSink, type InboxSinkOptions } from "./inbox-sink.ts";
import { rejectInPublic, rejectToInbox } from "./reject.ts";

export interface EventWayOptions extends InboxSinkOptions, Pick<Answers, "frames" | "isSpokenFor"> {}

/** The way of all events of a process. */
export function createEventWay(options: EventWayOptions): Way {
  const { nc } = options;
  const confirm = createConfirm(nc);
  return {
    open(call) {
      const { replyTo } = call.incoming;
      return replyTo === undefined
        ? new EventSink(nc, confirm, call, options.frames)
        : createInboxSink(call, replyTo, options);
    },
    async reject(incoming, error, known) {
      if (!isFinal(error, incoming)) return;
      if (incoming.replyTo === undefined) await rejectInPublic(nc, incoming, error, known, options.isSpokenFor);
      else rejectToInbox(nc, incoming, error, known);
    },
  };
}

/** Resolves when the server has taken all that was published before: one round trip for all who ask in the same turn. */
function createConfirm(nc: NatsConnection): () => Promise<void> {
  let asked: Promise<void> | undefined;
  return () =>
    (asked ??= new Promise((resolve, reject) => {
      setImmediate(() => {
        asked = undefined;
        nc.flush().then(resolve, reject);
      });
    }));
}

class EventSink implements ReplySink {
  readonly #nc: NatsConnection;
  readonly #confirm: () => Promise<void>;
  readonly #call: Call;
  readonly #frames: FramePublisher;
  #sequence = 0;
  #abandoned = false;

  constructor(nc: NatsConnection, confirm: () => Promise<void>, call: Call, frames: FramePublisher) {
    this.#nc = nc;
    this.#confirm = confirm;
    this.#call = call;
    this.#frames = frames;
  }

  frame(frame: Message, sequence: number): Promise<void> | void {
    this.#sequence = sequence;
    return this.#frames.publish(this.#call, frame, sequence);
  }

  finish(answer: Message | undefined): void {
    const { method, responseSubject, contentType } = this.#call;
    if (answer === undefined || responseSubject === undefined || isAnsweredOnce(this.#call)) return;
    const desc = method.folded?.output ?? method.output;
    const out = goodAnswerHeaders(desc, contentType);
    this.#nc.publish(responseSubject, encode(desc, answer, contentType), { headers: out });
    this.#call.incoming.answeredAt = performance.now(); // I4
  }

  async fail(error: HandlerError): Promise<void> {
    const { method, responseSubject, framesSubject, contentType, incoming, context } = this.#call;
    if (this.#abandoned || !isFinal(error, incoming) || error.code === "already_exists") return;
    const { requestId } = context;
    if (framesSubject !== undefined) {
      const at = { requestId, sequence: this.#sequence + 1, attempt: incoming.attempt };
      await this.#frames.publish(this.#call, errorFrame(method.output, error, at), at.sequence);
    }
    if (responseSubject === undefined || isAnsweredOnce(this.#call)) return;
    const desc = method.folded?.output ?? method.output;
    const out = setErrorHeaders(answerHeaders(desc, contentType), error);
    this.#nc.publish(responseSubject, encode(desc, errorAnswer(desc, error, requestId), contentType), { headers: out });
    await this.#confirm();
  }

  abandon(): void {
    this.#abandoned = true;
  }
}
