// A child process of the local stack: watched until it is ready, stopped with it.
//
// I1  It sees only the environment that it is given (environment.ts).
// I2  It has a process group of its own: Ctrl-C reaches the command line alone, which then stops its children in order.
// I3  None outlives the command line, also when that is told twice to end at once.
// I4  Why it ended is told in one line, with its last words.
import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";

export interface Child {
  readonly name: string;
  /** Resolves when it has ended, with a sentence that says how and with its last words. Never rejects. */
  readonly ended: Promise<string>;
  readonly running: boolean;
  /** The next line of standard output for which `match` gives a value. Rejects if the process ends first, or with the signal's reason. */
  line<T>(match: (line: string) => T | undefined, signal: AbortSignal): Promise<T>;
  /** SIGTERM, then SIGKILL after 10 s. Resolves when it is gone. */
  stop(): Promise<void>;
}

export interface ChildOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Gets every line of standard error. */
  readonly onLog?: (line: string) => void;
}

const patienceMs = 10_000;
const keptLines = 8;
const longestWords = 600;
const alive = new Set<ChildProcess>();

process.on("exit", () => {
  for (const child of alive) child.kill("SIGKILL"); // I3
});

export function startChild({ name, command, args, env, cwd, onLog }: ChildOptions): Child {
  const child: ChildProcess = spawn(command, args, {
    env: { ...env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true, // I2
    ...(cwd !== undefined && { cwd }),
  });
  alive.add(child);
  const lastWords: string[] = [];
  const listeners = new Set<(line: string) => void>();
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(`${name} could not be started: ${error.message}`));
    child.once("close", (code, signal) => {
      const words = lastWords.join(" ").slice(-longestWords);
      resolve(`${name} ended (${signal ?? `exit code ${String(code)}`})${words === "" ? "" : `: ${words}`}`);
    });
  });
  void ended.then(() => alive.delete(child));
  if (child.stdout) {
    createInterface({ input: child.stdout }).on("line", (line) => {
      for (const listener of listeners) listener(line);
    });
  }
  if (child.stderr) {
    createInterface({ input: child.stderr }).on("line", (line) => {
      if (line.trim() !== "") lastWords.push(line.trim());
      if (lastWords.length > keptLines) lastWords.shift();
      onLog?.(line);
    });
  }
  const isRunning = () => alive.has(child) && child.exitCode === null && child.signalCode === null;
  return {
    name,
    ended,
    get running() {
      return isRunning();
    },
    line: (match, signal) =>
      new Promise((resolve, reject) => {
        const done = () => {
          listeners.delete(listener);
          signal.removeEventListener("abort", abort);
        };
        const abort = () => {
          done();
          reject(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
        };
        const listener = (line: string) => {
          const value = match(line);
          if (value === undefined) return;
          done();
          resolve(value);
        };
        listeners.add(listener);
        signal.addEventListener("abort", abort, { once: true });
        if (signal.aborted) abort();
        void ended.then((how) => {
          done();
          reject(new Error(how));
        });
      }),
    async stop() {
      if (!isRunning()) return;
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), patienceMs);
      await ended;
      clearTimeout(timer);
    },
  };
}
