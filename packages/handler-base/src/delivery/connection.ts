// Whether the connection to NATS is up. One reader of the client's status stream serves all pull loops of a process.
import type { NatsConnection } from "@nats-io/nats-core";

export interface ConnectionWatch {
  readonly connected: boolean;
  /** Since when it has been up without a break, by `performance.now()`; infinite while it is down. What was published before may be lost. */
  readonly upSince: number;
  /** Called on each change until it is deleted. */
  readonly listeners: Set<(connected: boolean) => void>;
  /** Resolves at once while connected, else at the next connect. Rejects with the signal's reason. */
  untilConnected(signal: AbortSignal): Promise<void>;
}

/** Watches until the connection is closed. */
export function watchConnection(nc: NatsConnection): ConnectionWatch {
  const listeners = new Set<(connected: boolean) => void>();
  let connected = !nc.isClosed();
  let upSince = connected ? performance.now() : Number.POSITIVE_INFINITY;
  const change = (now: boolean) => {
    if (connected === now) return;
    connected = now;
    upSince = now ? performance.now() : Number.POSITIVE_INFINITY;
    for (const listener of listeners) listener(now);
  };
  const read = async () => {
    for await (const { type } of nc.status()) {
      if (type === "disconnect") change(false);
      if (type === "reconnect") change(true);
    }
    change(false);
  };
  void read();
  return {
    listeners,
    get connected() {
      return connected;
    },
    get upSince() {
      return upSince;
    },
    async untilConnected(signal) {
      signal.throwIfAborted();
      if (connected) return;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const up = (now: boolean) => now && resolve();
      const aborted = () => reject(signal.reason);
      listeners.add(up);
      signal.addEventListener("abort", aborted, { once: true });
      try {
        await promise;
      } finally {
        listeners.delete(up);
        signal.removeEventListener("abort", aborted);
      }
    },
  };
}
