// Concurrency limit of one endpoint with a bounded queue in front.
// I1: at most `limit` holders; I2: at most `queue` waiters, served in order; I3: a waiter whose signal aborts leaves the queue at once.
import { HandlerError } from "../error.ts";

export interface Gate {
  /**
   * A slot; the returned function gives it back and may be called more than once. Rejects with `resource_exhausted` at once when
   * the queue is full, and with the signal's reason when it aborts.
   */
  readonly acquire: (signal: AbortSignal) => Promise<() => void>;
  readonly active: () => number;
  readonly waiting: () => number;
}

/** What a caller is told to wait when the queue is full: one short call's length. */
const retryAfterMs = 1000;

export function createGate(options: { name: string; limit: number; queue: number }): Gate {
  const { name, limit, queue } = options;
  const waiters = new Set<() => void>();
  let active = 0;

  const slot = (): (() => void) => {
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const next = waiters.values().next().value;
      if (next === undefined) active--;
      else next(); // the slot goes on to the next waiter, `active` stays
    };
  };

  return {
    active: () => active,
    waiting: () => waiters.size,
    async acquire(signal) {
      signal.throwIfAborted();
      if (active < limit) {
        active++;
        return slot();
      }
      if (waiters.size >= queue) {
        throw new HandlerError(`${name} is busy: ${limit} calls run and ${queue} wait`, "resource_exhausted", {
          retryAfterMs,
        });
      }
      return new Promise((resolve, reject) => {
        const grant = (): void => {
          waiters.delete(grant);
          signal.removeEventListener("abort", leave);
          resolve(slot());
        };
        const leave = (): void => {
          waiters.delete(grant);
          reject(HandlerError.from(signal.reason));
        };
        waiters.add(grant);
        signal.addEventListener("abort", leave, { once: true });
      });
    },
  };
}
