// A program under test in a process of its own: started with exactly the environment that it is given, watched by its health URL, and
// killed, paused and resumed at will.
//
// I1  Nothing of the test's own environment reaches the program but what is in `env`.
// I2  After disposal the process is gone, whatever state it was in; that is checked.
// I3  What it says is kept, up to a bound: the end of it is what explains a failure.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

export interface ProcessOptions {
  /** Program and arguments. */
  readonly command: readonly [string, ...string[]];
  /** The whole environment of the program. Default: empty. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Answers 200 when the program is ready. Without it the program counts as ready as soon as it runs. */
  readonly readyUrl?: string;
  /** Longest wait for that, ms. Default 30 000. */
  readonly readyWithinMs?: number;
}

/** How a process ended: an exit code, or the signal that killed it. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A running program. Disposing kills it and throws if it would not go. */
export interface ProcessFixture extends AsyncDisposable {
  readonly pid: number;
  readonly running: boolean;
  /** Resolves when it has ended, by itself or not. */
  readonly exited: Promise<Exit>;
  /** The last 256 kB of each. */
  readonly stdout: string;
  readonly stderr: string;
  /** Whether the health URL answers 200 now. */
  readonly isReady: () => Promise<boolean>;
  /** Waits until it does; throws with the end of stderr if the program ends first or the time is up. */
  readonly untilReady: (withinMs?: number) => Promise<void>;
  /** SIGTERM. Does not wait. */
  readonly terminate: () => void;
  /** SIGKILL; resolves when it is gone. */
  readonly kill: () => Promise<Exit>;
  /** SIGSTOP and SIGCONT. */
  readonly pause: () => void;
  readonly resume: () => void;
}

const keptBytes = 256 * 1024;
const goneWithinMs = 10_000;

/** Starts a program and resolves when it is ready. Rejects, and leaves nothing behind, if it ends before or is not ready in time. */
export async function startProcess(options: ProcessOptions): Promise<ProcessFixture> {
  const { command, env = {}, cwd, readyUrl, readyWithinMs = 30_000 } = options;
  const [program, ...given] = command;
  const child = spawn(program, given, {
    env: { ...env },
    ...(cwd !== undefined && { cwd }),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = new Promise<Exit>((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
  await once(child, "spawn"); // rejects where the program cannot be run
  const pid = child.pid;
  if (pid === undefined) throw new Error(`${program} has no process id`);
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      said[name] = (said[name] + text).slice(-keptBytes);
    });
  }
  const running = () => child.exitCode === null && child.signalCode === null;
  const signal = (name: NodeJS.Signals) => void (running() && child.kill(name));

  const fixture: ProcessFixture = {
    pid,
    exited,
    get running() {
      return running();
    },
    get stdout() {
      return said.stdout;
    },
    get stderr() {
      return said.stderr;
    },
    isReady: () => answersOk(readyUrl),
    async untilReady(withinMs = readyWithinMs) {
      const end = performance.now() + withinMs;
      while (!(await answersOk(readyUrl))) {
        if (!running())
          throw new Error(
            `${program} ended with ${String(child.signalCode ?? child.exitCode)} before it was ready:\n${tail(said.stderr)}`,
          );
        if (performance.now() > end)
          throw new Error(`${program} was not ready within ${withinMs} ms at ${readyUrl ?? ""}:\n${tail(said.stderr)}`);
        await sleep(20);
      }
    },
    terminate: () => signal("SIGTERM"),
    async kill() {
      signal("SIGKILL"); // ends a paused process as well
      return await exited;
    },
    pause: () => signal("SIGSTOP"),
    resume: () => signal("SIGCONT"),
    async [Symbol.asyncDispose]() {
      signal("SIGKILL");
      const waited = new AbortController();
      const late = sleep(goneWithinMs, "late", { signal: waited.signal }).catch(() => "late");
      const ended = await Promise.race([exited, late]);
      waited.abort();
      if (ended === "late" || exists(pid)) throw new Error(`process ${pid} (${program}) is still there after SIGKILL`); // I2
    },
  };
  try {
    if (readyUrl !== undefined) await fixture.untilReady();
  } catch (error) {
    await fixture[Symbol.asyncDispose]();
    throw error;
  }
  return fixture;
}

async function answersOk(url: string | undefined): Promise<boolean> {
  if (url === undefined) return true;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false; // not listening yet, or paused
  }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const tail = (text: string) => text.slice(-4000);
