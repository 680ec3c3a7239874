// Runs the command line as a user does: a process of its own, with an environment of the test's.
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly cwd?: string;
}

/** A command that runs. Disposing kills it. */
export interface Running extends AsyncDisposable {
  readonly pid: number;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly kill: (signal: NodeJS.Signals) => void;
  readonly exited: Promise<number | null>;
}

export function startHandlers(args: readonly string[], { env = {}, input, cwd }: RunOptions = {}): Running {
  const { PATH = "", HOME = "", TMPDIR = "/tmp", PIPELINE_CACHE, XDG_CACHE_HOME, NATS_SERVER_BIN } = process.env;
  const child = spawn(process.execPath, [main, ...args], {
    env: {
      PATH,
      HOME,
      TMPDIR,
      ...(PIPELINE_CACHE !== undefined && { PIPELINE_CACHE }),
      ...(XDG_CACHE_HOME !== undefined && { XDG_CACHE_HOME }),
      ...(NATS_SERVER_BIN !== undefined && { NATS_SERVER_BIN }),
      ...env,
    },
    stdio: ["pipe", "pipe", "pipe"],
    ...(cwd !== undefined && { cwd }),
  });
  child.stdin.on("error", () => undefined); // a command that reads nothing may have left
  child.stdin.end(input ?? "");
  const exited = once(child, "close").then(([code]: unknown[]) => (typeof code === "number" ? code : null));
  return {
    pid: child.pid ?? -1,
    stdout: child.stdout,
    stderr: child.stderr,
    kill: (signal) => void child.kill(signal),
    exited,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await exited;
    },
  };
}

/** Runs to the end. */
export async function handlers(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  await using running = startHandlers(args, options);
  const [stdout, stderr, code] = await Promise.all([text(running.stdout), text(running.stderr), running.exited]);
  return { code, stdout, stderr };
}

/** Documents of `--json` output, one a line. */
export function documents(stdout: string): Record<string, unknown>[] {
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
