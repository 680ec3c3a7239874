// Reading the body of one exchange: bounded silence, the reason of an end told apart, and the connection kept where it can be.
// I1: the body is destroyed when its reader leaves early: that is what makes the server stop.
import type { Dispatcher } from "undici";
import { HandlerError } from "../error.ts";
import type { Watch } from "./watch.ts";

export type ResponseBody = Dispatcher.ResponseData["body"];

/** How long the end of a body that nobody needs any more is waited for, ms, and how much of it. */
const drainMs = 1_000;
const maxDrainedChunks = 8;

/**
 * The body's chunks. Throws the reason of the watch's signal, and `unavailable` when the connection breaks. `left` true at the
 * reader's end lets the rest run out in the background, so that the connection can be used again.
 */
export async function* readChunks(
  body: ResponseBody,
  options: { watch: Watch; name: string; idleTimeoutMs: number; left: () => boolean },
): AsyncGenerator<Uint8Array> {
  const { watch, name, idleTimeoutMs } = options;
  const silent = (): string => `${name} sent nothing for ${idleTimeoutMs} ms in the middle of its answer`;
  // Not `for await`: its end destroys the body, and with it the connection, also where only the last empty chunk is missing.
  const iterator: AsyncIterator<Uint8Array> = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      // Armed only while we wait: a slow reader of ours must not look like a silent server.
      watch.arm("idle", idleTimeoutMs, silent);
      const next = await iterator.next();
      watch.disarm("idle");
      if (next.done === true) return;
      yield next.value;
    }
  } catch (reason) {
    if (watch.signal.aborted) throw HandlerError.from(watch.signal.reason);
    throw new HandlerError(`the answer of ${name} was cut`, "unavailable", { cause: reason });
  } finally {
    watch.disarm("idle");
    if (options.left() && !watch.signal.aborted) void drain(iterator, body);
    else body.destroy();
  }
}

/** Never throws. */
async function drain(iterator: AsyncIterator<Uint8Array>, body: ResponseBody): Promise<void> {
  const timer = setTimeout(() => body.destroy(), drainMs);
  try {
    for (let chunks = 0; chunks < maxDrainedChunks; chunks++) {
      if ((await iterator.next()).done === true) return;
    }
  } catch {
    // Only the connection is lost: the answer itself was complete.
  } finally {
    clearTimeout(timer);
    body.destroy();
  }
}

/** Runs `ended` once the exchange holds no connection any more, whatever becomes of it. */
export async function whenClosed(pending: Promise<Dispatcher.ResponseData>, ended: () => void): Promise<void> {
  try {
    const { body } = await pending;
    body.on("error", ignoreError);
    body.once("close", ended);
  } catch {
    ended(); // why it failed is told to whoever awaits `pending`
  }
}

/** A destroyed body emits its error also when nobody reads it any more; readers get it from the iterator. */
function ignoreError(): void {}

/** What `pending` gives, or the signal's reason as soon as it aborts: undici itself waits for the connection first. */
export async function untilAborted<T>(pending: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const stop = (): void => reject(HandlerError.from(signal.reason));
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  try {
    return await Promise.race([pending, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
