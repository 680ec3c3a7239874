// Waiting for a store that does not answer, as during the election of its leader.
import { setTimeout as pause } from "node:timers/promises";
import type { Call } from "../call.ts";
import { HandlerError } from "../error.ts";

/** An election takes 4 to 10 s. */
const electionMs = 20_000;
/** A caller who waits is told sooner; this is for a store that is busy for a moment, or whose key changes hands too fast. */
const briefMs = 2000;
const pauseMs = 250;

/**
 * Does the work, and again while its store is `unavailable`: for an event as long as an election takes, since its attempts are for
 * failures of the handler; for a caller who waits only briefly. Rejects with the last failure, or with the reason of the call's end.
 */
export async function outlast<T>(call: Call, work: () => Promise<T>): Promise<T> {
  const { signal } = call.context;
  const until = performance.now() + (call.incoming.way === "event" ? electionMs : briefMs);
  for (;;) {
    try {
      return await work();
    } catch (reason) {
      signal.throwIfAborted();
      if (HandlerError.from(reason).code !== "unavailable" || performance.now() > until) throw reason;
    }
    await pause(pauseMs, undefined, { signal });
  }
}
