// chat-handler in a process of its own, from source or as its bundle, with scripted model servers and a small knowledge base.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { freePorts, startModelServer, startProcess, type ModelServer, type ProcessFixture } from "@pipeline/testkit";

export const forms = ["source", "bundle"] as const;
export type Form = (typeof forms)[number];

export interface ChatHandler extends AsyncDisposable {
  readonly process: ProcessFixture;
  /** A server for each role. */
  readonly models: { readonly llm: ModelServer; readonly embeddings: ModelServer; readonly reranker: ModelServer };
}

export interface ChatHandlerOptions {
  readonly form: Form;
  readonly natsUrl: string;
  readonly collectorUrl: string;
  /** Name and text of what it knows; two at least, so that there is something to put in order. */
  readonly documents: Readonly<Record<string, string>>;
}

const root = fileURLToPath(new URL("../../../", import.meta.url));
const run = promisify(execFile);

/** Resolves when it is ready, which is after it has read what it knows. */
export async function startChatHandler(options: ChatHandlerOptions): Promise<ChatHandler> {
  await using opened = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "chat-handler-"));
  opened.defer(() => rm(folder, { recursive: true, force: true }));
  const knowledge = join(folder, "knowledge");
  await mkdir(knowledge);
  for (const [name, text] of Object.entries(options.documents)) await writeFile(join(knowledge, name), text);
  const models = {
    llm: opened.use(await startModelServer()),
    embeddings: opened.use(await startModelServer()),
    reranker: opened.use(await startModelServer()),
  };
  const main =
    options.form === "source" ? join(root, "services/chat-handler/src/main.ts") : await bundleInto(join(folder, "app"));
  const [port = 0] = await freePorts(1);
  const service = opened.use(
    await startProcess({
      command: [process.execPath, "--unhandled-rejections=strict", main],
      cwd: folder,
      env: {
        NATS_URL: options.natsUrl,
        HEALTH_HOST: "127.0.0.1",
        HEALTH_PORT: String(port),
        LOG_LEVEL: "debug",
        KNOWLEDGE_DIR: knowledge,
        LLM_URL: models.llm.url,
        LLM_MODEL: "the-llm",
        EMBEDDINGS_URL: models.embeddings.url,
        EMBEDDINGS_MODEL: "the-embedder",
        RERANKER_URL: models.reranker.url,
        RERANKER_MODEL: "the-reranker",
        OTEL_EXPORTER_OTLP_ENDPOINT: options.collectorUrl,
      },
      readyUrl: `http://127.0.0.1:${port}/readyz`,
    }),
  );
  const all = opened.move();
  return { process: service, models, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** What `npm run build` makes, code caches included, in a folder where no package can be found. Gives the program. */
async function bundleInto(folder: string): Promise<string> {
  const dist = join(folder, "dist");
  const bundler = join(root, "node_modules/rolldown/bin/cli.mjs");
  await run(process.execPath, [bundler, "-c", join(root, "rolldown.config.ts"), "-d", dist], {
    cwd: join(root, "services/chat-handler"),
    timeout: 120_000,
  });
  await run(process.execPath, [join(root, "tools/bundle/bake.ts"), folder, "LLM_URL=http://127.0.0.1:9"], {
    timeout: 120_000,
  });
  return join(dist, "main.cjs");
}
