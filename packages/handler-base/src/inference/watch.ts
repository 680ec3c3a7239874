// The clock of one call: its caller's signal, its deadline and named timers, all as one AbortSignal.
// I1: the reason of the signal is always a HandlerError; I2: after dispose no timer runs and no listener is left.
import { HandlerError } from "../error.ts";

export interface Watch extends Disposable {
  readonly signal: AbortSignal;
  /** ms left until the deadline; Infinity without one. */
  readonly remainingMs: () => number;
  /** Starts (or starts again) the timer `name`; when it ends, the signal aborts with `unavailable` and what `message` says. */
  readonly arm: (name: string, ms: number, message: () => string) => void;
  readonly disarm: (name: string) => void;
  /** Waits `ms`; throws the signal's reason when it aborts before. */
  readonly sleep: (ms: number) => Promise<void>;
  readonly throwIfAborted: () => void;
}

/** setTimeout takes a 31-bit number; a longer time would fire at once. */
const longestTimer = 2 ** 31 - 1;

function reasonOf(signal: AbortSignal): HandlerError {
  const reason: unknown = signal.reason;
  const named = reason instanceof Error && (reason.name === "AbortError" || reason.name === "TimeoutError");
  return reason instanceof HandlerError || named
    ? HandlerError.from(reason)
    : new HandlerError("the call was canceled", "canceled", { cause: reason });
}

export function createWatch(options: { signal: AbortSignal; deadline?: number | undefined; what: string }): Watch {
  const { signal: outer, deadline, what } = options;
  const controller = new AbortController();
  const timers = new Map<string, NodeJS.Timeout>();

  const abort = (reason: HandlerError): void => {
    if (!controller.signal.aborted) controller.abort(reason);
  };
  const follow = (): void => abort(reasonOf(outer));
  const disarm = (name: string): void => {
    clearTimeout(timers.get(name));
    timers.delete(name);
  };
  const start = (name: string, ms: number, reason: () => HandlerError): void => {
    disarm(name);
    timers.set(
      name,
      setTimeout(() => abort(reason()), Math.min(Math.max(0, ms), longestTimer)),
    );
  };
  const remainingMs = (): number => (deadline === undefined ? Infinity : deadline - Date.now());

  if (outer.aborted) follow();
  else outer.addEventListener("abort", follow, { once: true });
  if (deadline !== undefined) {
    const passed = (): HandlerError =>
      new HandlerError(`the deadline passed while waiting for ${what}`, "deadline_exceeded");
    if (remainingMs() <= 0) abort(passed());
    else start("deadline", remainingMs(), passed);
  }

  return {
    signal: controller.signal,
    remainingMs,
    disarm,
    arm: (name, ms, message) => start(name, ms, () => new HandlerError(message(), "unavailable")),
    throwIfAborted: () => controller.signal.throwIfAborted(),
    sleep: (ms) =>
      new Promise((resolve, reject) => {
        const stop = (): void => {
          clearTimeout(timer);
          reject(HandlerError.from(controller.signal.reason));
        };
        const timer = setTimeout(() => {
          controller.signal.removeEventListener("abort", stop);
          resolve();
        }, ms);
        if (controller.signal.aborted) stop();
        else controller.signal.addEventListener("abort", stop, { once: true });
      }),
    [Symbol.dispose]() {
      for (const timer of timers.values()) clearTimeout(timer);
      timers.clear();
      outer.removeEventListener("abort", follow);
    },
  };
}
