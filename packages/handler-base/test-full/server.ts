// A server in Python: its program from this folder, a free port on the loopback address, nothing of our environment, a folder of its own.
// I1: after disposal neither it nor any process that it has started is there; that is checked (where there is /proc).
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePorts, startProcess, type ProcessFixture } from "@pipeline/testkit";
import { python, type PythonName } from "./python.ts";

export interface PythonServer extends AsyncDisposable {
  readonly url: string;
  readonly process: ProcessFixture;
  /** Removed with the server. */
  readonly folder: string;
  /** Lines that the program wrote into "log" in its folder. */
  readonly log: () => Promise<string[]>;
}

export interface PythonServerOptions {
  readonly packages: PythonName;
  /** "ray_app.py" */
  readonly program: string;
  /** Path that answers 200 when the server is ready. */
  readonly readyPath: string;
  readonly readyWithinMs: number;
  readonly env?: Readonly<Record<string, string>>;
}

const stopWithinMs = 20_000;
const goneWithinMs = 30_000;

/** Resolves when it answers. The program gets the port and its folder as arguments. */
export async function startPython(options: PythonServerOptions): Promise<PythonServer> {
  const interpreter = await python(options.packages);
  const [port = 0] = await freePorts(1);
  const folder = await mkdtemp(join(tmpdir(), "server-")); // short: sockets are made in it
  const url = `http://127.0.0.1:${port}`;
  const program = fileURLToPath(new URL(options.program, import.meta.url));
  await using opened = new AsyncDisposableStack();
  opened.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  opened.defer(() => untilNobodyIsAt(folder));
  const process = opened.use(
    await startProcess({
      command: [interpreter, program, String(port), folder],
      cwd: folder,
      env: { PATH: "/usr/bin:/bin", HOME: folder, TMPDIR: folder, PYTHONDONTWRITEBYTECODE: "1", ...options.env },
      readyUrl: `${url}${options.readyPath}`,
      readyWithinMs: options.readyWithinMs,
    }),
  );
  opened.defer(() => stop(process));
  const all = opened.move();
  return {
    url,
    process,
    folder,
    log: async () => (await readFile(join(folder, "log"), "utf8").catch(() => "")).split("\n").filter(Boolean),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** Asks the program to end, so that it can end what it has started; it is killed when that takes too long. */
async function stop(process: ProcessFixture): Promise<void> {
  process.terminate();
  const waited = new AbortController();
  const late = sleep(stopWithinMs, undefined, { signal: waited.signal }).catch(() => undefined);
  await Promise.race([process.exited, late]);
  waited.abort();
}

/** Resolves when every process that the program has started is gone; they have our folder as their home. */
async function untilNobodyIsAt(folder: string): Promise<void> {
  const end = performance.now() + goneWithinMs;
  for (;;) {
    const left = await processesAt(folder);
    if (left.length === 0) return;
    if (performance.now() > end) throw new Error(`a server has left processes behind: ${left.join(", ")}`);
    await sleep(200);
  }
}

async function processesAt(folder: string): Promise<string[]> {
  const ids = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name));
  const environments = await Promise.all(
    // one that ends meanwhile, or is not ours, cannot be read
    ids.map((id) => readFile(`/proc/${id}/environ`, "utf8").catch(() => "")),
  );
  return ids.filter((_, at) => environments[at]?.split("\0").includes(`HOME=${folder}`));
}
