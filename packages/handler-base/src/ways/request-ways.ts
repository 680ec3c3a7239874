// The request subjects of a process: one way for each method, taken and stopped together.
import type { Method } from "../call.ts";
import { serviceStopping } from "../stopping.ts";
import { openRequestWay, type RequestWayOptions } from "./request-way.ts";

export interface RequestWays {
  /** Calls that may run at once. */
  readonly capacity: number;
  /** Calls that wait for a slot. */
  queued(): number;
  stopAccepting(): Promise<void>;
  drain(): Promise<void>;
  abort(): void;
}

export function openRequestWays(methods: readonly Method[], options: RequestWayOptions): RequestWays {
  const ways = methods.map((method) => openRequestWay(method, options));
  return {
    capacity: ways.reduce((sum, { capacity }) => sum + capacity, 0),
    queued: () => ways.reduce((sum, { queued }) => sum + queued, 0),
    async stopAccepting() {
      await Promise.all(ways.map((way) => way.stopAccepting()));
    },
    async drain() {
      await Promise.all(ways.map((way) => way.idle()));
    },
    abort() {
      for (const way of ways) way.refuseQueued(serviceStopping);
      options.dispatcher.abortAll(serviceStopping);
    },
  };
}
