// The local stack: nats-server, embedded inference and the services, each in a process of its own, on loopback.
//
// I1  Whatever was started is stopped, in reverse order, however the start ends.
// I2  Nothing listens outside 127.0.0.1, and nothing that runs already is touched: taken ports are avoided.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { fetchArtifact } from "@pipeline/artifacts";
import { startChild, type Child } from "./child.ts";
import { freePort } from "./ports.ts";

/** The repository: this file is packages/cli/src/local/stack.ts in it. */
export const repository = dirname(dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url))))));

export interface StackUrls {
  readonly nats: string;
  readonly websocket: string;
  readonly monitor: string;
  readonly inference: string;
  /** Health of each service. */
  readonly health: Readonly<Record<string, string>>;
}

export interface Stack extends AsyncDisposable {
  readonly urls: StackUrls;
  /** Engines of the embedded inference, by role. */
  readonly engines: Readonly<Record<string, string>>;
  /** Resolves with its name if a part ends by itself. */
  readonly broken: Promise<string>;
}

export interface StackOptions {
  /** Services to start. */
  readonly services: readonly string[];
  /** GGUF model for the embedded inference. */
  readonly llm?: string;
  readonly signal: AbortSignal;
  /** Says what is being done, one line each. */
  readonly progress: (line: string) => void;
  /** Gets the log lines of all parts. */
  readonly onLog?: (part: string, line: string) => void;
}

/** Starts everything and resolves when every part is ready. Rejects with the first part's error, everything stopped again. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const parts: { stop(): Promise<void> }[] = [];
  const stopAll = async () => {
    for (const part of parts.splice(0).toReversed()) await part.stop();
  };
  try {
    return await startParts(options, parts, stopAll);
  } catch (error) {
    await stopAll();
    throw error;
  }
}

async function startParts(
  { services, llm, signal, progress, onLog }: StackOptions,
  parts: { stop(): Promise<void> }[],
  stopAll: () => Promise<void>,
): Promise<Stack> {
  const children: Child[] = [];
  const run = (name: string, command: string, args: readonly string[], env: Record<string, string> = {}): Child => {
    const child = startChild({
      name,
      command,
      args,
      env,
      cwd: repository,
      ...(onLog && { onLog: (line) => onLog(name, line) }),
    });
    parts.push(child);
    children.push(child);
    return child;
  };

  const nats = process.env["NATS_URL"]
    ? { url: process.env["NATS_URL"], websocket: "", monitor: "" }
    : await startNats(run, parts, signal, progress);
  const inference = process.env["LLM_URL"]
    ? { url: process.env["LLM_URL"], engines: {} }
    : await startInference(run, llm, signal, progress);

  const health: Record<string, string> = {};
  for (const name of services) {
    const port = await freePort(0);
    progress(`starting ${name}`);
    const child = run(
      name,
      process.execPath,
      [join(repository, "services", name, "src", "main.ts")],
      serviceEnvironment(nats.url, inference.url, port),
    );
    health[name] = `http://127.0.0.1:${port}`;
    await Promise.race([ready(`${health[name]}/readyz`, signal), ended(child)]);
  }
  return {
    urls: { nats: nats.url, websocket: nats.websocket, monitor: nats.monitor, inference: inference.url, health },
    engines: inference.engines,
    broken: Promise.race(children.map(({ name, exited }) => exited.then(() => name))),
    [Symbol.asyncDispose]: stopAll,
  };
}

type Run = (name: string, command: string, args: readonly string[], env?: Record<string, string>) => Child;

async function startNats(
  run: Run,
  parts: { stop(): Promise<void> }[],
  signal: AbortSignal,
  progress: (line: string) => void,
) {
  const binary = await fetchArtifact("nats-server", { signal });
  const [port, websocketPort, monitorPort] = [await freePort(4222), await freePort(9222), await freePort(8222)];
  const folder = await mkdtemp(join(tmpdir(), "handlers-nats-"));
  parts.push({ stop: () => rm(folder, { recursive: true, force: true }) });
  await mkdir(join(folder, "store"));
  const file = join(folder, "nats.conf");
  await writeFile(
    file,
    `listen: "127.0.0.1:${port}"\nhttp: "127.0.0.1:${monitorPort}"\n` +
      `jetstream { store_dir: ${JSON.stringify(join(folder, "store"))}, max_memory_store: 256MB, max_file_store: 2GB }\n` +
      `websocket { listen: "127.0.0.1:${websocketPort}", no_tls: true }\n`,
  );
  progress("starting nats-server");
  const child = run("nats-server", binary, ["-c", file]);
  await Promise.race([ready(`http://127.0.0.1:${monitorPort}/healthz`, signal), ended(child)]);
  return {
    url: `nats://127.0.0.1:${port}`,
    websocket: `ws://127.0.0.1:${websocketPort}`,
    monitor: `http://127.0.0.1:${monitorPort}`,
  };
}

async function startInference(
  run: Run,
  llm: string | undefined,
  signal: AbortSignal,
  progress: (line: string) => void,
) {
  progress("starting the embedded inference");
  const child = run("inference-dev", process.execPath, [
    join(repository, "packages", "inference-dev", "src", "main.ts"),
    "--port",
    String(await freePort(8000)),
    ...(llm === undefined ? [] : ["--llm", llm]),
  ]);
  return child.line((line) => {
    if (!line.startsWith("{")) return undefined;
    return JSON.parse(line) as { url: string; engines: Record<string, string> };
  }, signal);
}

/** Every endpoint can be pointed elsewhere by its own variable. */
function serviceEnvironment(nats: string, inference: string, healthPort: number): Record<string, string> {
  const env: Record<string, string> = {
    NATS_URL: nats,
    LLM_URL: inference,
    EMBEDDINGS_URL: inference,
    RERANKER_URL: inference,
    KNOWLEDGE_DIR: repository,
    HEALTH_PORT: String(healthPort),
    HEALTH_HOST: "127.0.0.1",
    LOG_LEVEL: "warn",
  };
  for (const key of Object.keys(process.env)) {
    if (/^(LLM|EMBEDDINGS|RERANKER|TTS|MILVUS|COLLECTION|KNOWLEDGE|ENABLE|OTEL|NATS|LOG)_/.test(key))
      env[key] = process.env[key] ?? "";
  }
  return env;
}

/** Resolves when the URL answers 200. */
async function ready(url: string, signal: AbortSignal): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    signal.throwIfAborted();
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
      await response.arrayBuffer();
      if (response.ok) return;
    } catch {
      // not listening yet
    }
    if (Date.now() > deadline) throw new Error(`${url} was not ready within 60 s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function ended(child: Child): Promise<never> {
  await child.line(() => undefined, new AbortController().signal);
  throw new Error(`${child.name} ended`);
}
