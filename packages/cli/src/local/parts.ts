// The parts of a local stack: what was started, how one waits for it, and how all of it is stopped.
//
// I1  Whatever was started is stopped, in reverse order, however the start ends.
import { setTimeout as sleep } from "node:timers/promises";
import { startChild, type Child, type ChildOptions } from "./child.ts";
import { repository } from "./services.ts";

export interface PartsOptions {
  readonly signal: AbortSignal;
  /** Says what is being done, one line each. */
  readonly progress: (line: string) => void;
  /** Gets the log lines of all parts. */
  readonly onLog?: (part: string, line: string) => void;
}

export interface RunOptions extends Omit<ChildOptions, "onLog" | "cwd"> {
  /** Which log lines are told; default all. */
  readonly isWorthTelling?: (line: string) => boolean;
  /** Whether it may end by itself without the stack being broken. Default false. */
  readonly restartable?: boolean;
}

export interface Parts extends PartsOptions {
  run(options: RunOptions): Child;
  /** Resolves when the URL answers 200. Rejects if the child ends first, after 60 s, or with the signal's reason. */
  ready(child: Child, url: string): Promise<void>;
  onStop(stop: () => Promise<void>): void;
  stopAll(): Promise<void>;
  /** Resolves with a sentence when a part ends by itself. */
  readonly broken: Promise<string>;
}

const readyWithinMs = 60_000;
const pollMs = 50;

export function createParts({ signal, progress, onLog }: PartsOptions): Parts {
  const stops: (() => Promise<void>)[] = [];
  const broken = Promise.withResolvers<string>();
  let stopping = false;
  return {
    signal,
    progress,
    ...(onLog && { onLog }),
    broken: broken.promise,
    run({ isWorthTelling = () => true, restartable = false, ...options }) {
      const onChildLog = (line: string) => {
        if (isWorthTelling(line)) onLog?.(options.name, line);
      };
      const child = startChild({ ...options, cwd: repository, onLog: onChildLog });
      stops.push(() => child.stop());
      if (!restartable) {
        void child.ended.then((how) => {
          if (!stopping) broken.resolve(how);
        });
      }
      return child;
    },
    async ready(child, url) {
      const end = performance.now() + readyWithinMs;
      let failure: string | undefined;
      void child.ended.then((how) => (failure = how));
      for (;;) {
        signal.throwIfAborted();
        if (failure !== undefined) throw new Error(failure);
        if (await answers(url)) return;
        if (performance.now() > end) throw new Error(`${child.name} was not ready within ${readyWithinMs / 1000} s`);
        await sleep(pollMs);
      }
    },
    onStop: (stop) => void stops.push(stop),
    async stopAll() {
      stopping = true;
      for (const stop of stops.splice(0).toReversed()) await stop();
    },
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false; // not listening yet
  }
}
