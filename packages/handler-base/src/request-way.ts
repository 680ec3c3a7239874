// The request subject of a method: a queue subscription, slots, a bounded queue, and answers to the reply inbox.
//
// I1  At most `concurrency` calls run; at most twice as many wait. What comes beyond is answered RESOURCE_EXHAUSTED at once.
// I2  Once stopped, nothing new starts: what is queued still runs within the shutdown's grace.
import { headers as natsHeaders, type Msg, type NatsConnection, type Subscription } from "@nats-io/nats-core";
import { answerHeaders, errorAnswer, setErrorHeaders } from "./answer.ts";
import type { Incoming, Method, ReplySink } from "./call.ts";
import { encode, type ContentType } from "./codec.ts";
import type { Dispatcher, Known, Way } from "./dispatch.ts";
import { HandlerError } from "./error.ts";
import { createInboxSink, type InboxSinkOptions } from "./inbox-sink.ts";
import type { Logger } from "./log.ts";
import { headers } from "./names.ts";

export interface RequestWayOptions extends InboxSinkOptions {
  readonly dispatcher: Dispatcher;
  readonly queue: string;
  readonly log: Logger;
}

export interface RequestWay {
  readonly running: number;
  readonly queued: number;
  readonly capacity: number;
  /** Takes no more requests. Resolves when the server knows. */
  stopAccepting(): Promise<void>;
  /** Resolves when nothing runs or waits any more. */
  idle(): Promise<void>;
}

const silent: ReplySink = {
  frame: () => undefined,
  finish: () => undefined,
  fail: () => undefined,
};

/** Subscribes to the request subjects of a method. */
export function openRequestWay(method: Method, options: RequestWayOptions): RequestWay {
  const { nc, dispatcher, queue, log } = options;
  const capacity = method.contract.concurrency;
  const waiting: Incoming[] = [];
  const replies = new WeakMap<Incoming, string>();
  let running = 0;
  let whenIdle: (() => void)[] = [];

  const way: Way = {
    open(call) {
      const replyTo = replies.get(call.incoming);
      return replyTo === undefined ? silent : createInboxSink(call, replyTo, options);
    },
    reject(incoming, error, known) {
      const replyTo = replies.get(incoming);
      if (replyTo !== undefined) replyWithError(nc, method, replyTo, error, known);
    },
  };

  const start = (incoming: Incoming): void => {
    running += 1;
    void dispatcher.dispatch(incoming, way).then(() => {
      running -= 1;
      const next = waiting.shift();
      if (next) start(next);
      else if (running === 0) {
        for (const resolve of whenIdle) resolve();
        whenIdle = [];
      }
    });
  };

  const take = async (message: Msg): Promise<void> => {
    const incoming = await readRequest(message, method, options);
    if (message.reply) replies.set(incoming, message.reply);
    accept(incoming);
  };

  const accept = (incoming: Incoming): void => {
    if (running < capacity) start(incoming);
    else if (waiting.length < capacity * 2) waiting.push(incoming);
    else {
      void way.reject(
        incoming,
        new HandlerError("all slots of this service are taken", "resource_exhausted", {
          retryAfterMs: 1000,
        }),
        {},
      );
    }
  };

  const subscriptions: Subscription[] = method.contract.requestSubjects.map((subject) =>
    nc.subscribe(subject, {
      queue,
      callback: (error, message) => {
        if (error) {
          log.error({ error, subject }, "a request subscription failed");
          return;
        }
        if (message.headers?.has(headers.claimCheck)) {
          take(message).catch((cause: unknown) => {
            if (message.reply) replyWithError(nc, method, message.reply, HandlerError.from(cause), {});
          });
          return;
        }
        const incoming = incomingOf(message, method, message.data);
        if (message.reply) replies.set(incoming, message.reply);
        accept(incoming);
      },
    }),
  );

  return {
    get running() {
      return running;
    },
    get queued() {
      return waiting.length;
    },
    capacity,
    async stopAccepting() {
      for (const subscription of subscriptions) subscription.unsubscribe();
      await nc.flush();
    },
    idle() {
      return running === 0 && waiting.length === 0
        ? Promise.resolve()
        : new Promise((resolve) => whenIdle.push(resolve));
    },
  };
}

async function readRequest(message: Msg, method: Method, { claimCheck }: InboxSinkOptions): Promise<Incoming> {
  if (claimCheck === undefined) throw new HandlerError("this service takes no claim checks", "unimplemented");
  return incomingOf(message, method, await claimCheck.load(message.data, message.headers));
}

function incomingOf(message: Msg, method: Method, data: Uint8Array): Incoming {
  return {
    method,
    way: "request",
    subject: message.subject,
    pattern: undefined,
    data,
    headers: message.headers,
    attempt: 1,
    lastAttempt: true,
    publishedAt: Date.now(),
    fallbackId: undefined,
  };
}

/** An error answer to an inbox, for a message that never became a call. */
export function replyWithError(
  nc: NatsConnection,
  method: Method,
  replyTo: string,
  error: HandlerError,
  known: Known,
): void {
  const type: ContentType = known.contentType ?? "application/x-protobuf";
  const { output } = method;
  const out = setErrorHeaders(answerHeaders(output, type), error);
  const body = encode(output, errorAnswer(output, error, known.requestId ?? ""), type);
  nc.publish(replyTo, body, { headers: out });
  if (method.handler.kind === "server_streaming") {
    nc.publish(replyTo, new Uint8Array(), { headers: setErrorHeaders(natsHeaders(), error) });
  }
}
