// Serves one method from one durable consumer: a message becomes a call, the call's outcome settles the message.
//
// I1  While a call runs its message is kept from redelivery: all messages in flight are told about every third of the ack wait, by one
//     timer, until the call's time is over. A call that hangs beyond that is delivered again elsewhere.
// I2  A message holds its slot from its arrival until it is settled.
// I3  After `close` the server has been told about every message.
import type { Method } from "../call.ts";
import { statedDeadline } from "../deadline.ts";
import type { Dispatcher, Way } from "../dispatch.ts";
import type { Delivery } from "./delivery.ts";
import { arrivedFrom, storedOf, type Kind } from "./incoming.ts";
import { startPull, type PullOptions } from "./pull.ts";
import type { Settle } from "./settle.ts";
import { triedTooOften } from "./settlement.ts";

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

interface Flight {
  readonly delivery: Delivery;
  /** By `performance.now()`. */
  keptUntil: number;
  ended: Promise<void>;
}

export function startConsumer(options: ConsumerOptions): Consumer {
  const { method, kind, ackWaitMs, dispatcher, way, settle, log } = options;
  const { name, deadlineMs, retry } = method.contract;
  const inFlight = new Set<Flight>();
  const abandoned = new AbortController();

  const beat = setInterval(() => {
    const now = performance.now();
    for (const { delivery, keptUntil } of inFlight) if (now < keptUntil) delivery.working();
  }, ackWaitMs / 3);

  const run = async (flight: Flight): Promise<void> => {
    const { delivery } = flight;
    try {
      const arrived = arrivedFrom(storedOf(delivery.message), method, kind);
      const { incoming } = arrived;
      const budgetMs = Math.max(deadlineMs, (statedDeadline(incoming) ?? 0) - Date.now());
      flight.keptUntil = performance.now() + budgetMs + ackWaitMs;
      const ended = await (incoming.attempt > retry.maxAttempts
        ? dispatcher.refuse(incoming, way, triedTooOften)
        : dispatcher.dispatch(incoming, way));
      await settle({ ...ended, arrived, delivery, signal: abandoned.signal });
    } catch (reason) {
      log.error({ method: name, error: reason }, "a message could not be handled; it is given back");
      delivery.nak(ackWaitMs);
    } finally {
      inFlight.delete(flight);
      delivery.release();
    }
  };

  const pull = startPull({
    ...options,
    onMessage(delivery) {
      const flight: Flight = { delivery, keptUntil: Number.POSITIVE_INFINITY, ended: Promise.resolve() };
      inFlight.add(flight);
      flight.ended = run(flight);
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
      if (signal.aborted) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const giveUp = () => resolve();
      signal.addEventListener("abort", giveUp, { once: true });
      await Promise.race([Promise.all(Array.from(inFlight, ({ ended }) => ended)), promise]);
      signal.removeEventListener("abort", giveUp);
    },
    close() {
      abandoned.abort();
      for (const { delivery } of inFlight) delivery.nak(0); // I3
      clearInterval(beat);
    },
  };
}
