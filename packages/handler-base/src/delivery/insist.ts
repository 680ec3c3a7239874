// Publishing that outlasts a lost answer and the election of a stream's leader.
import { setTimeout as sleep } from "node:timers/promises";
import { JetStreamApiError } from "@nats-io/jetstream";
import { HandlerError } from "../error.ts";
import type { Publisher, Published, PublishOptions } from "../publisher.ts";

/** An election takes 4 to 10 s; the message holds its slot meanwhile. */
const withinMs = 20_000;
const oneTryMs = 3000;
const firstWaitMs = 100;

/**
 * Publishes until a stream has stored it: safe only where a second copy does no harm. Rejects with the last failure after 20 s, with a
 * refusal of the stream at once, and with the signal's reason.
 */
export async function insist(
  publisher: Publisher,
  subject: string,
  data: Uint8Array,
  { headers, signal }: Pick<PublishOptions, "headers"> & { signal: AbortSignal },
): Promise<Published> {
  const until = performance.now() + withinMs;
  for (let waitMs = firstWaitMs; ; waitMs *= 2) {
    try {
      return await publisher.publish(subject, data, { ...(headers && { headers }), timeoutMs: oneTryMs, signal });
    } catch (reason) {
      signal.throwIfAborted();
      if (!isPassing(reason) || performance.now() + waitMs > until) throw reason;
    }
    await sleep(waitMs, undefined, { signal });
  }
}

function isPassing(reason: unknown): boolean {
  return reason instanceof JetStreamApiError ? reason.status === 503 : HandlerError.from(reason).code === "unavailable";
}
