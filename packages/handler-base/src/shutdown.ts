// Stopping a service in two phases, so that no message is lost and no caller waits for nothing:
//
//   running → draining   everyone stops taking work (what was fetched but not started is given back), then work in flight may finish
//           → aborting   the grace period is over: signals of what still runs abort, and its messages are given back
//           → closing    in reverse order of joining: telemetry is flushed, connections are closed
//           → stopped
//
// I1  Every phase is bounded, so that stopping ends whatever a participant does: grace, then settleMs, then closeMs for all.
// I2  A participant that fails is logged and holds up nobody else.
// I3  Stopping is one promise however often it is asked for, and it never rejects.
import type { Logger } from "./log.ts";
import { serviceStopping } from "./stopping.ts";

/** A part of the service that takes work or holds something open. All members are optional steps, in the order of a stop. */
export interface Participant {
  readonly name: string;
  /** From here on no new work begins; gives back what did not begin. */
  readonly stopAccepting?: (signal: AbortSignal) => Promise<void> | void;
  /** Resolves when no work is in flight. The signal aborts when nobody waits for that any more. */
  readonly drain?: (signal: AbortSignal) => Promise<void>;
  /** Ends all work in flight at once, with `serviceStopping` as the reason. */
  readonly abort?: () => void;
  /** Flushes and closes. The signal aborts when the time for it is up. */
  readonly close?: (signal: AbortSignal) => Promise<void> | void;
}

export type Phase = "running" | "draining" | "aborting" | "closing" | "stopped";

export interface ShutdownOptions {
  /** Time that work in flight has, ms. */
  readonly graceMs: number;
  /** Time that aborted work has to give its messages back, ms. Default 2000. */
  readonly settleMs?: number;
  /** Time that closing has, ms. Default 5000. */
  readonly closeMs?: number;
  readonly log: Logger;
}

export interface Shutdown {
  readonly phase: Phase;
  /** Aborts when the stop begins; its reason is `serviceStopping`, so that a handler that listens to it costs its message no attempt. */
  readonly signal: AbortSignal;
  /** Joins. What others are built on joins first: it is closed last. Throws once the stop has begun. */
  add(participant: Participant): void;
  /** Begins the stop, or joins the one that has begun. Resolves when everything is closed. Never rejects. */
  stop(): Promise<void>;
  /** Like `stop`, but ends the grace period at once. */
  stopNow(): Promise<void>;
}

export function createShutdown({ graceMs, settleMs = 2000, closeMs = 5000, log }: ShutdownOptions): Shutdown {
  const participants: Participant[] = [];
  const begun = new AbortController();
  const hurry = new AbortController();
  let phase: Phase = "running";
  let stopped: Promise<void> | undefined;

  const guarded = async (participant: Participant, step: string, run: () => Promise<void> | void): Promise<void> => {
    try {
      await run();
    } catch (error) {
      log.error({ error, participant: participant.name, step }, "a part of the service failed to stop"); // I2
    }
  };

  async function runPhases(): Promise<void> {
    phase = "draining";
    begun.abort(serviceStopping);
    const pending = new Set(participants);
    const draining = new AbortController();
    const drained = Promise.all(
      participants.map(async (participant) => {
        await guarded(participant, "stopAccepting", () => participant.stopAccepting?.(draining.signal));
        await guarded(participant, "drain", () => participant.drain?.(draining.signal));
        pending.delete(participant);
      }),
    );
    if (!(await within(drained, graceMs, hurry.signal)) && pending.size > 0) {
      phase = "aborting";
      log.warn({ participants: namesOf(pending) }, "work in flight did not end in time and is aborted");
      await Promise.all(participants.map((each) => guarded(each, "abort", () => each.abort?.())));
      if (!(await within(drained, settleMs))) {
        log.error({ participants: namesOf(pending) }, "aborted work did not end; its messages come again");
      }
    }
    draining.abort();
    phase = "closing";
    const closing = new AbortController();
    const closed = (async () => {
      for (const each of participants.toReversed()) {
        // A participant that uses up the time must not keep the others from being closed at least without waiting.
        const closes = guarded(each, "close", () => each.close?.(closing.signal));
        await Promise.race([closes, aborted(closing.signal)]);
      }
    })();
    if (!(await within(closed, closeMs))) {
      closing.abort();
      log.error({}, "closing did not end in time");
      await closed;
    }
    phase = "stopped";
  }

  const stop = () => (stopped ??= runPhases());
  return {
    get phase() {
      return phase;
    },
    signal: begun.signal,
    add(participant) {
      if (phase !== "running") throw serviceStopping;
      participants.push(participant);
    },
    stop,
    stopNow() {
      hurry.abort();
      return stop();
    },
  };
}

/** Stops at SIGTERM and SIGINT; the second of them stops at once. Dispose it to listen no more. */
export function stopOnSignals(shutdown: Shutdown, log: Logger): Disposable {
  let count = 0;
  const listener = (signal: NodeJS.Signals) => {
    count += 1;
    log.info({ signal }, count === 1 ? "stopping" : "stopping at once");
    void (count === 1 ? shutdown.stop() : shutdown.stopNow());
  };
  process.on("SIGTERM", listener);
  process.on("SIGINT", listener);
  return {
    [Symbol.dispose]() {
      process.off("SIGTERM", listener);
      process.off("SIGINT", listener);
    },
  };
}

const namesOf = (participants: Iterable<Participant>): string[] => Array.from(participants, ({ name }) => name);

/** Whether the work ends within this time and before the signal aborts. The work must not reject. */
async function within(work: Promise<unknown>, ms: number, signal?: AbortSignal): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const giveUp = () => {
    resolve(false);
  };
  const timer = setTimeout(giveUp, ms);
  if (signal?.aborted) giveUp();
  signal?.addEventListener("abort", giveUp, { once: true });
  try {
    return await Promise.race([work.then(() => true), promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", giveUp);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else
      signal.addEventListener(
        "abort",
        () => {
          resolve();
        },
        { once: true },
      );
  });
}
