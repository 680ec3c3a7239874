// Messages of several subjects as one sequence, in the order in which they arrive.
import type { Msg, NatsConnection, Subscription } from "@nats-io/nats-core";
import { HandlerError } from "../error.ts";

export interface Received {
  /** The next message; undefined when none came within `withinMs`. Rejects with the signal's reason, or when the connection is lost for good. */
  next(withinMs?: number): Promise<Msg | undefined>;
  close(): void;
}

/** Messages that may wait for their reader; beyond it the reader is too slow and gets an error. */
const mostWaiting = 100_000;

/** Subscribes at once. The signal ends the wait, not the subscription: that is `close`. */
export function receive(nc: NatsConnection, subjects: readonly string[], signal: AbortSignal): Received {
  const waiting: Msg[] = [];
  let wake: (() => void) | undefined;
  let failure: HandlerError | undefined;
  const fail = (text: string, cause?: unknown) => {
    failure ??= new HandlerError(text, "unavailable", { cause });
    wake?.();
  };
  const subscriptions: Subscription[] = subjects.map((subject) =>
    nc.subscribe(subject, {
      callback: (error, message) => {
        if (error) return fail(`${subject} cannot be subscribed to: ${error.message}`, error);
        if (waiting.length >= mostWaiting) return fail("messages come faster than they are read");
        waiting.push(message);
        wake?.();
      },
    }),
  );
  void nc.closed().then((reason) => fail("the connection to NATS was closed", reason));
  return {
    async next(withinMs) {
      const end = performance.now() + (withinMs ?? Number.POSITIVE_INFINITY);
      for (;;) {
        const message = waiting.shift();
        if (message) return message;
        if (failure) throw failure;
        signal.throwIfAborted();
        const left = end - performance.now();
        if (left <= 0) return undefined;
        await new Promise<void>((resolve) => {
          let timer: NodeJS.Timeout | undefined;
          const done = () => {
            clearTimeout(timer);
            signal.removeEventListener("abort", done);
            wake = undefined;
            resolve();
          };
          wake = done;
          if (Number.isFinite(left)) timer = setTimeout(done, left);
          signal.addEventListener("abort", done, { once: true });
        });
      }
    },
    close() {
      for (const subscription of subscriptions) subscription.unsubscribe();
    },
  };
}
