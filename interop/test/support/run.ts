// Runs a program of another language as a user would, and collects what it says.
import { spawn } from "node:child_process";

/** What child processes see of the environment beside what a test gives them. */
const allowed =
  /^(PATH|HOME|TMPDIR|LANG|LC_ALL|VIRTUAL_ENV|PYENV_.*|PIP_.*|GO.*|XDG_CACHE_HOME|SSL_CERT_.*|(HTTPS?|NO|ALL)_PROXY)$/i;

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Time after which it is killed, ms. Default one minute. */
  readonly timeoutMs?: number;
  /** Gets what it writes to standard error as it comes. */
  readonly progress?: (text: string) => void;
}

/** Resolves when the program has ended, whatever its exit code; rejects with an Error if it cannot be started. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const { env = {}, cwd, timeoutMs = 60_000, progress } = options;
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => allowed.test(name)));
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: { ...inherited, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: timeoutMs,
      killSignal: "SIGKILL",
      ...(cwd !== undefined && { cwd }),
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
    child.stderr.on("data", (data: Buffer) => {
      stderr += data.toString();
      progress?.(data.toString());
    });
    child.once("error", (error) =>
      reject(new Error(`${command} could not be run: ${error.message}`, { cause: error })),
    );
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}
