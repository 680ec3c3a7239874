// Runs the programs that install and build the servers: with few variables of our environment, and below everything else in priority, since
// an installation keeps a small machine busy for minutes.
import { spawn } from "node:child_process";
import { constants, setPriority } from "node:os";

/** What they may see: where programs, home and caches are, and how to reach an index of packages. */
const allowed =
  /^(PATH|HOME|TMPDIR|LANG|XDG_CACHE_HOME|PIP_.*|GO[A-Z0-9]+|SSL_CERT_.*|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|(HTTPS?|NO|ALL)_PROXY|(https?|no|all)_proxy)$/;
const endWithinMs = 8 * 60_000;

export interface RunOptions {
  readonly cwd?: string;
  /** What is to be done where the program is missing: "install Go 1.26 or newer". */
  readonly advice: string;
}

/** Standard output of a program that ended well. Rejects with an Error otherwise. */
export async function run(program: string, args: readonly string[], { cwd, advice }: RunOptions): Promise<string> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => allowed.test(key)));
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const child = spawn(program, args, {
    env,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: endWithinMs,
    ...(cwd !== undefined && { cwd }),
  });
  if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_BELOW_NORMAL);
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name]
      .setEncoding("utf8")
      .on("data", (text: string) => void (said[name] = (said[name] + text).slice(-10_000)));
  }
  child.once("error", (reason) => reject(new Error(`${program} cannot be run (${reason.message}): ${advice}`)));
  child.once("close", (code, signal) =>
    code === 0
      ? resolve(said.stdout)
      : reject(new Error(`${program} ended with ${String(signal ?? code)}: ${said.stderr}`)),
  );
  return promise;
}
