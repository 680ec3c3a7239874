// A child process of the local stack: started with an allow-list of the environment, watched until it is ready, stopped with it.
import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";

/** What children inherit; everything else they need is given to them by name. */
const inherited = [
  "PATH",
  "HOME",
  "TMPDIR",
  "LANG",
  "NODE_EXTRA_CA_CERTS",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "PIPELINE_CACHE",
  "XDG_CACHE_HOME",
  "NODE_COMPILE_CACHE",
];

export interface Child {
  readonly name: string;
  readonly pid: number;
  /** Resolves with the exit code, or null after a signal. */
  readonly exited: Promise<number | null>;
  /** The next line of standard output for which `match` gives a value. Rejects if the process ends first, with its last words. */
  line<T>(match: (line: string) => T | undefined, signal: AbortSignal): Promise<T>;
  /** SIGTERM, then SIGKILL after 10 s. Resolves when it is gone. */
  stop(): Promise<void>;
}

export interface ChildOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Gets every line of standard error. */
  readonly onLog?: (line: string) => void;
}

export function startChild({ name, command, args, env = {}, cwd, onLog }: ChildOptions): Child {
  const own: NodeJS.ProcessEnv = {};
  for (const key of inherited) if (process.env[key] !== undefined) own[key] = process.env[key];
  const child: ChildProcess = spawn(command, args, {
    env: { ...own, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    ...(cwd !== undefined && { cwd }),
  });
  const lastWords: string[] = [];
  const listeners = new Set<(line: string) => void>();
  const failures = new Set<(reason: Error) => void>();
  const exited = new Promise<number | null>((resolve) => {
    child.once("error", (error) => {
      for (const fail of failures) fail(new Error(`${name} could not be started: ${error.message}`));
      resolve(127);
    });
    child.once("close", (code, signal) => {
      const words = lastWords.length > 0 ? `\n${lastWords.join("\n")}` : "";
      for (const fail of failures)
        fail(new Error(`${name} ended (${signal ?? `exit code ${String(code)}`}) before it was ready${words}`));
      resolve(code);
    });
  });
  if (child.stdout) {
    createInterface({ input: child.stdout }).on("line", (line) => {
      for (const listener of listeners) listener(line);
    });
  }
  if (child.stderr) {
    createInterface({ input: child.stderr }).on("line", (line) => {
      lastWords.push(line);
      if (lastWords.length > 20) lastWords.shift();
      onLog?.(line);
    });
  }
  return {
    name,
    pid: child.pid ?? -1,
    exited,
    line: (match, signal) =>
      new Promise((resolve, reject) => {
        const done = () => {
          listeners.delete(listener);
          failures.delete(fail);
          signal.removeEventListener("abort", abort);
        };
        const fail = (reason: Error) => {
          done();
          reject(reason);
        };
        const abort = () => fail(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
        const listener = (line: string) => {
          const value = match(line);
          if (value === undefined) return;
          done();
          resolve(value);
        };
        listeners.add(listener);
        failures.add(fail);
        signal.addEventListener("abort", abort, { once: true });
      }),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await exited;
      clearTimeout(timer);
    },
  };
}
