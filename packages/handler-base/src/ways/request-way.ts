// The request subject of a method: a queue subscription, slots, a bounded queue, and answers to the reply inbox.
//
// I1  At most `concurrency` calls run; at most twice as many wait. What comes beyond is answered RESOURCE_EXHAUSTED at once.
// I2  A typed caller that waits for a slot gets keep-alives as one does whose call runs: else it would take the service for dead.
// I3  Once stopped, nothing new is taken: what is queued still runs within the shutdown's grace, and is answered with the stop after it.
import type { Msg, Subscription } from "@nats-io/nats-core";
import type { Incoming, Method, ReplySink } from "../call.ts";
import type { Dispatcher, Way } from "../dispatch.ts";
import { HandlerError } from "../error.ts";
import { headersOf } from "../header-block.ts";
import type { Ticking } from "../live-call.ts";
import type { Logger } from "../log.ts";
import { headers } from "../names.ts";
import { patiently } from "../patience.ts";
import { isInbox } from "../reply-subject.ts";
import { repeatMs, sayWorking } from "./control.ts";
import { createInboxSink, type InboxSinkOptions } from "./inbox-sink.ts";
import { rejectToInbox } from "./reject.ts";

export interface RequestWayOptions extends InboxSinkOptions {
  readonly dispatcher: Dispatcher;
  readonly queue: string;
  readonly log: Logger;
}

export interface RequestWay {
  readonly running: number;
  readonly queued: number;
  readonly capacity: number;
  /** Takes no more requests. Resolves when the server knows, or does not answer. */
  stopAccepting(): Promise<void>;
  /** Answers what waits with this error. What runs is the dispatcher's to end. */
  refuseQueued(error: HandlerError): void;
  /** Resolves when nothing runs or waits any more. */
  idle(): Promise<void>;
}

const silent: ReplySink = {
  frame: () => undefined,
  finish: () => undefined,
  fail: () => undefined,
  abandon: () => undefined,
};

/** Subscribes to the request subjects of a method. */
export function openRequestWay(method: Method, options: RequestWayOptions): RequestWay {
  const { nc, clock, dispatcher, queue, log } = options;
  const capacity = method.contract.concurrency;
  const waiting: Incoming[] = [];
  let running = 0;
  let whenIdle: (() => void)[] = [];

  const way: Way = {
    open(call) {
      const { replyTo } = call.incoming;
      return replyTo === undefined ? silent : createInboxSink(call, replyTo, options);
    },
    reject: (incoming, error, known) => rejectToInbox(nc, incoming, error, known),
  };

  let told = 0;
  const keepAlive: Ticking = {
    place: -1,
    tick(now) {
      if (now - told < repeatMs) return;
      told = now;
      for (const { replyTo, headers: given } of waiting) {
        if (replyTo !== undefined && given?.has(headers.control)) sayWorking(nc, replyTo); // I2
      }
    },
  };

  /** Runs a call, and those that wait for as long as none of them has to wait for anything itself. */
  const run = (incoming: Incoming): void => {
    let next: Incoming | undefined = incoming;
    while (next !== undefined) {
      running += 1;
      const outcome = dispatcher.dispatch(next, way);
      if (outcome instanceof Promise) {
        void outcome.then(() => {
          const waited = leave();
          if (waited) run(waited);
        });
        return;
      }
      next = leave();
    }
  };

  /** A call has ended: gives the one that has waited longest. */
  const leave = (): Incoming | undefined => {
    running -= 1;
    const next = waiting.shift();
    if (waiting.length === 0) clock.delete(keepAlive);
    if (next === undefined && running === 0) {
      for (const resolve of whenIdle) resolve();
      whenIdle = [];
    }
    return next;
  };

  const enqueue = (incoming: Incoming): void => {
    if (waiting.length === 0) {
      told = performance.now();
      clock.add(keepAlive);
    }
    waiting.push(incoming);
  };

  const accept = (incoming: Incoming): void => {
    if (running < capacity) run(incoming);
    else if (waiting.length < capacity * 2) enqueue(incoming);
    else void way.reject(incoming, allTaken, {});
  };

  const subscriptions: Subscription[] = method.contract.requestSubjects.map((subject) =>
    nc.subscribe(subject, {
      queue,
      callback: (error, message) => {
        if (error) {
          log.error({ error, subject }, "a request subscription failed");
          return;
        }
        if (message.reply && !isInbox(message.reply)) {
          log.warn({ method: method.contract.name }, "a request is passed over: its reply subject is no inbox");
          return;
        }
        accept(incomingOf(message, method));
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
      // Drained, not ended: what the server has sent until it knows is still taken, since nobody else will get it.
      await patiently(Promise.all(subscriptions.map((subscription) => subscription.drain())));
    },
    refuseQueued(error) {
      clock.delete(keepAlive);
      for (const incoming of waiting.splice(0)) void way.reject(incoming, error, {});
    },
    idle() {
      return running === 0 && waiting.length === 0
        ? Promise.resolve()
        : new Promise((resolve) => whenIdle.push(resolve));
    },
  };
}

const allTaken = new HandlerError("all slots of this service are taken", "resource_exhausted", { retryAfterMs: 1000 });

function incomingOf(message: Msg, method: Method): Incoming {
  return {
    method,
    way: "request",
    subject: message.subject,
    pattern: undefined,
    data: message.data,
    headers: headersOf(message),
    replyTo: message.reply || undefined,
    attempt: 1,
    lastAttempt: true,
    publishedAt: Date.now(),
    fallbackId: undefined,
  };
}
