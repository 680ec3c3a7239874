// A server in Python: its program from this folder, a free port on the loopback address, nothing of our environment, a folder of its own.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
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

/** Resolves when it answers. The program gets the port and its folder as arguments. */
export async function startPython(options: PythonServerOptions): Promise<PythonServer> {
  const interpreter = await python(options.packages);
  const [port = 0] = await freePorts(1);
  const folder = await mkdtemp(join(tmpdir(), "server-")); // short: sockets are made in it
  const url = `http://127.0.0.1:${port}`;
  const program = fileURLToPath(new URL(options.program, import.meta.url));
  await using opened = new AsyncDisposableStack();
  opened.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const process = opened.use(
    await startProcess({
      command: [interpreter, program, String(port), folder],
      cwd: folder,
      env: { PATH: "/usr/bin:/bin", HOME: folder, TMPDIR: folder, PYTHONDONTWRITEBYTECODE: "1", ...options.env },
      readyUrl: `${url}${options.readyPath}`,
      readyWithinMs: options.readyWithinMs,
    }),
  );
  const all = opened.move();
  return {
    url,
    process,
    folder,
    log: async () => (await readFile(join(folder, "log"), "utf8").catch(() => "")).split("\n").filter(Boolean),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
