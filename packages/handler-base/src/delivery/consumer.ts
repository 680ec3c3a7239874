// Serves one method from one durable consumer: a message becomes a call, the call's outcome settles the message.
//
// I1  While a call runs its message is kept from redelivery: all messages in flight are told about every third of the ack wait, by one
//     timer, until the call's time is over. A call that hangs beyond that is delivered again elsewhere.
// I2  A message holds its slot from its arrival until it is settled.
// I3  After `close` the server has been told about every message.
// I4  No acknowledgement gets ahead of an answer. On one connection the server takes them in the order in which they were published, so
//     nobody waits for a word that the answer has come; an answer from before a break of the connection may be lost, and its message is
//     given back instead.
import { Bag, type Placed } from "../bag.ts";
import type { Ended, Incoming, Method, Outcome } from "../call.ts";
import { statedDeadline } from "../deadline.ts";
import type { Dispatcher, Way } from "../dispatch.ts";
import type { Maybe } from "../maybe.ts";
import type { Delivery } from "./delivery.ts";
import { arrivedFrom, storedOf, type Arrived, type Kind } from "./incoming.ts";
import { startPull, type PullOptions } from "./pull.ts";
import type { Settle } from "./settle.ts";
import { answerLost, triedTooOften } from "./settlement.ts";

export interface ConsumerOptions extends Omit<PullOptions, "onMessage"> {
  readonly method: Method;
  readonly kind: Kind;
  /** As the consumer has it on the server. */
  readonly ackWaitMs: number;
  readonly dispatcher: Pick<Dispatcher, "dispatch" | "refuse">;
  readonly way: Way;
  readonly settle: Settle;
}

/** Takes part in the shutdown: stop accepting, drain, (calls are aborted), close. */
export interface Consumer {
  readonly name: string;
  readonly running: number;
  readonly slots: number;
  readonly healthy: boolean;
  /** From here on no message starts; what still arrives is given back. Idempotent. */
  stopAccepting(): Promise<void>;
  /** Resolves when nothing is in flight, or when the signal aborts. */
  drain(signal: AbortSignal): Promise<void>;
  /** Gives back what is still in flight. */
  close(): void;
}

interface Flight extends Placed {
  readonly delivery: Delivery;
  /** By `performance.now()`. */
  keptUntil: number;
}

export function startConsumer(options: ConsumerOptions): Consumer {
  const { method, kind, ackWaitMs, dispatcher, way, settle, connection, log } = options;
  const { name, deadlineMs, retry } = method.contract;
  const inFlight = new Bag<Flight>();
  const abandoned = new AbortController();
  const whenIdle: (() => void)[] = [];

  const beat = setInterval(() => {
    const now = performance.now();
    inFlight.each(({ delivery, keptUntil }) => {
      if (now < keptUntil) delivery.working();
    });
  }, ackWaitMs / 3);

  /** I4 */
  const certain = (outcome: Outcome, { answeredAt }: Incoming): Outcome =>
    outcome.ok && answeredAt !== undefined && answeredAt < connection.upSince
      ? { ok: false, error: answerLost }
      : outcome;

  const settled = ({ outcome, requestId }: Ended, arrived: Arrived, delivery: Delivery): Maybe<unknown> =>
    settle({ outcome: certain(outcome, arrived.incoming), requestId, arrived, delivery, signal: abandoned.signal });

  const handle = (flight: Flight): Maybe<unknown> => {
    const { delivery } = flight;
    const arrived = arrivedFrom(storedOf(delivery.message), method, kind);
    const { incoming } = arrived;
    const ended =
      incoming.attempt > retry.maxAttempts
        ? dispatcher.refuse(incoming, way, triedTooOften)
        : dispatcher.dispatch(incoming, way);
    if (!(ended instanceof Promise)) return settled(ended, arrived, delivery);
    const budgetMs = Math.max(deadlineMs, (statedDeadline(incoming) ?? 0) - Date.now());
    flight.keptUntil = performance.now() + budgetMs + ackWaitMs;
    return ended.then((one) => settled(one, arrived, delivery));
  };

  const failed = ({ delivery }: Flight, reason: unknown): void => {
    log.error({ method: name, error: reason }, "a message could not be handled; it is given back");
    delivery.nak(ackWaitMs);
  };

  const leave = (flight: Flight): void => {
    inFlight.delete(flight);
    flight.delivery.release();
    if (inFlight.size === 0 && whenIdle.length > 0) for (const resolve of whenIdle.splice(0)) resolve();
  };

  /** A message that waits for nothing is settled when this returns. */
  const run = (flight: Flight): void => {
    try {
      const handled = handle(flight);
      if (handled instanceof Promise) {
        void handled.catch((reason: unknown) => failed(flight, reason)).then(() => leave(flight));
        return;
      }
    } catch (reason) {
      failed(flight, reason);
    }
    leave(flight);
  };

  const pull = startPull({
    ...options,
    onMessage(delivery) {
      const flight: Flight = { place: -1, delivery, keptUntil: Number.POSITIVE_INFINITY };
      inFlight.add(flight);
      run(flight);
    },
  });

  return {
    name: options.consumer,
    slots: options.slots,
    get running() {
      return inFlight.size;
    },
    get healthy() {
      return pull.healthy;
    },
    stopAccepting: () => pull.stop(),
    async drain(signal) {
      if (signal.aborted || inFlight.size === 0) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const giveUp = () => resolve();
      signal.addEventListener("abort", giveUp, { once: true });
      whenIdle.push(giveUp);
      await promise;
      signal.removeEventListener("abort", giveUp);
    },
    close() {
      abandoned.abort();
      inFlight.each(({ delivery }) => delivery.nak(0)); // I3
      clearInterval(beat);
    },
  };
}
