// The local stack: nats-server, embedded inference and the services, each in a process of its own, on loopback.
//
// I1  Nothing listens outside 127.0.0.1, and nothing that runs already is touched: taken ports are avoided.
// I2  Every part can be pointed elsewhere by its own variable, and is then not started: NATS_URL, LLM_URL, EMBEDDINGS_URL, RERANKER_URL.
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { withoutSecrets } from "@pipeline/handler-base/operations";
import { UsageError } from "../usage.ts";
import type { Child } from "./child.ts";
import { inferenceEnvironment, isPointed, modelRoles, serviceEnvironment } from "./environment.ts";
import { startLocalNats } from "./nats-server.ts";
import { offerOllama } from "./ollama.ts";
import { createParts, type Parts, type PartsOptions } from "./parts.ts";
import { freePort } from "./ports.ts";
import { mainOf, repository } from "./services.ts";

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
  /** What answers in each role. */
  readonly engines: Readonly<Record<string, string>>;
  /** Resolves with a sentence when a part ends by itself. */
  readonly broken: Promise<string>;
  /** Starts one more service, which the caller may stop and start again; it is ready when this resolves. */
  readonly startService: (name: string, port: number) => Promise<Child>;
}

export interface StackOptions extends PartsOptions {
  /** Services to start. */
  readonly services: readonly string[];
  /** GGUF model for the embedded inference. */
  readonly llm?: string;
}

/** Starts everything and resolves when every part is ready. Rejects with the first part's error, everything stopped again. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const parts = createParts(options);
  try {
    return await startParts(options, parts);
  } catch (error) {
    await parts.stopAll();
    throw error;
  }
}

async function startParts({ services, llm }: StackOptions, parts: Parts): Promise<Stack> {
  const pointed = new Map(modelRoles.map((role) => [role.role, isPointed(role)]));
  if (llm !== undefined && pointed.get("llm") !== undefined) {
    throw new UsageError(
      "--llm names a model for the embedded inference, and LLM_URL another server; keep one of them",
    );
  }
  if (llm !== undefined) await requireModel(llm);
  const elsewhere = process.env["NATS_URL"];
  const nats = elsewhere ? { url: elsewhere, websocket: "", monitor: "" } : await startLocalNats(parts);
  const embedded = [...pointed.values()].includes(undefined) ? await startInference(parts, llm) : undefined;
  if (llm === undefined && pointed.get("llm") === undefined) {
    const offer = await offerOllama();
    if (offer !== undefined) parts.progress(offer);
  }
  const start = async (name: string, port: number, restartable: boolean) => {
    const child = parts.run({
      name,
      command: process.execPath,
      args: [mainOf(name)],
      env: serviceEnvironment({ nats: nats.url, inference: embedded?.url, healthPort: port, knowledge: repository }),
      restartable,
    });
    try {
      await parts.ready(child, `http://127.0.0.1:${port}/readyz`);
    } catch (reason) {
      await child.stop();
      throw reason;
    }
    return child;
  };
  const health: Record<string, string> = {};
  for (const name of services) {
    const port = await freePort(0);
    parts.progress(`starting ${name}`);
    await start(name, port, false);
    health[name] = `http://127.0.0.1:${port}`;
  }
  const { url: natsUrl, websocket, monitor } = nats;
  return {
    urls: {
      nats: natsUrl.split(",").map(withoutSecrets).join(","),
      websocket,
      monitor,
      inference: embedded?.url ?? "",
      health,
    },
    engines: enginesOf(pointed, embedded?.engines ?? {}),
    broken: parts.broken,
    startService: (name, port) => start(name, port, true),
    [Symbol.asyncDispose]: () => parts.stopAll(),
  };
}

/** Said before anything is started, and once. */
async function requireModel(file: string): Promise<void> {
  const isFile = await stat(file).then(
    (found) => found.isFile(),
    () => false,
  );
  if (!isFile) throw new UsageError(`--llm names ${file}, which is no file`);
}

async function startInference(parts: Parts, llm: string | undefined) {
  parts.progress("starting the embedded inference");
  const child = parts.run({
    name: "inference-dev",
    command: process.execPath,
    args: [
      join(repository, "packages", "inference-dev", "src", "main.ts"),
      "--port",
      String(await freePort(8000)),
      ...(llm === undefined ? [] : ["--llm", resolve(llm)]),
    ],
    env: inferenceEnvironment(),
  });
  return child.line((line) => {
    if (!line.startsWith("{")) return undefined;
    return JSON.parse(line) as { url: string; engines: Record<string, string> };
  }, parts.signal);
}

function enginesOf(pointed: ReadonlyMap<string, string | undefined>, embedded: Readonly<Record<string, string>>) {
  const engines: Record<string, string> = { ...embedded };
  for (const [role, url] of pointed) if (url !== undefined) engines[role] = withoutSecrets(url.split(",")[0] ?? "");
  return engines;
}
