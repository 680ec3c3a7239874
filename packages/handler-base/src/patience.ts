// How long a stop waits for the server to confirm something. A server that is paused or cut off never does, and must not hold up the end.
import { setTimeout as sleep } from "node:timers/promises";

const patienceMs = 2000;

/** Resolves when the server has confirmed, when it cannot any more, or after two seconds. Never rejects. */
export async function patiently(confirmation: Promise<unknown>): Promise<void> {
  const waiting = new AbortController();
  const patience = sleep(patienceMs, undefined, { signal: waiting.signal });
  await Promise.race([Promise.allSettled([confirmation]), patience]);
  patience.catch(() => undefined); // ended below, with nobody left to wait for it
  waiting.abort();
}
