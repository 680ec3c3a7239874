// Starts chat-handler against a test server and scripted models, as a process would: environment in, nothing shared but NATS and HTTP.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import type { Msg } from "@nats-io/nats-core";
import { createClient, HandlerError, startService, type Client, type RunningService } from "@pipeline/handler-base";
import {
  ChatRequestSchema,
  ChatResponseSchema,
  ChatService,
  ChatStreamChunkSchema,
  type ChatResponse,
  type ChatStreamChunk,
} from "@pipeline/messages";
import { startModelServer, type ModelServer, type ModelServerOptions, type NatsFixture } from "@pipeline/testkit";
import { config } from "../../src/config.ts";
import { openServices } from "../../src/open.ts";

export type Question = MessageInitShape<typeof ChatRequestSchema>;

const documents: Readonly<Record<string, string>> = {
  "retries.md":
    "# Retries\n\n## Delay\n\nA failed message is tried again after one minute.\n\n## Limit\n\nA message has five attempts in all.\n",
  "greetings.md": "# Greetings\n\nUsers are greeted by their nickname when they sign in.\n",
  "weather.md": "# Weather\n\nRain falls mostly in the mountains.\n",
};

type Environment = Readonly<Record<string, string>>;

export interface ChatOptions {
  /** In place of the usual environment; a function gets the model server's URL. */
  readonly env?: Environment | ((modelUrl: string) => Environment);
  readonly model?: ModelServerOptions;
  /** Called before the service starts. */
  readonly prepare?: (model: ModelServer) => void;
}

export interface Chat extends AsyncDisposable {
  readonly model: ModelServer;
  readonly service: RunningService;
  readonly client: Client<typeof ChatService>;
  /** Text and last chunk of a streamed answer, over the request subject. */
  readonly ask: (question: Question) => Promise<{ chunks: ChatStreamChunk[]; text: string; end: ChatStreamChunk }>;
}

/** A service with a model server for every role and a folder of three documents; ready when this resolves. */
export async function startChat(nats: NatsFixture, options: ChatOptions = {}): Promise<Chat> {
  const model = await startModelServer(options.model);
  options.prepare?.(model);
  const folder = await mkdtemp(join(tmpdir(), "chat-test-"));
  for (const [name, text] of Object.entries(documents)) await writeFile(join(folder, name), text);
  const service = await startService(
    { name: "chat-handler", config, services: openServices },
    {
      NATS_URL: nats.url,
      LLM_URL: model.url,
      EMBEDDINGS_URL: model.url,
      RERANKER_URL: model.url,
      KNOWLEDGE_DIR: folder,
      HEALTH_PORT: "0",
      HEALTH_HOST: "127.0.0.1",
      LOG_LEVEL: "error",
      SHUTDOWN_GRACE: "2s",
      ...(typeof options.env === "function" ? options.env(model.url) : options.env),
    },
  );
  await ready(service);
  const nc = await nats.connect();
  const client = createClient(ChatService, nc);
  return {
    model,
    service,
    client,
    async ask(question) {
      const chunks = await Array.fromAsync(client.chat(question));
      const end = chunks.at(-1);
      if (end === undefined) throw new Error("the answer has no chunks");
      return { chunks, end, text: chunks.map(({ content }) => content).join("") };
    },
    async [Symbol.asyncDispose]() {
      await nc.close();
      await service[Symbol.asyncDispose]();
      await model[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function ready({ healthUrl }: RunningService): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    const response = await fetch(`${healthUrl}/readyz`);
    const body = await response.text();
    if (response.ok) return;
    if (tries === 599) throw new Error(`not ready: ${body}`);
    await sleep(50);
  }
}

export interface Heard {
  readonly frames: ChatStreamChunk[];
  readonly final: ChatResponse;
  /** Objects that hold what did not fit into a message. */
  readonly claims: string[];
}

/** Publishes a bare question on an event subject, as an outside program would, and waits for its final on `answerOn`. */
export async function publish(
  nats: NatsFixture,
  subject: string,
  question: Question,
  answerOn: string,
): Promise<Heard> {
  const nc = await nats.connect();
  const frames: ChatStreamChunk[] = [];
  const claims: string[] = [];
  const claim = (message: Msg): void => {
    const name = message.headers?.get("Handler-Claim-Check");
    if (name) claims.push(name);
  };
  const { promise, resolve, reject } = Promise.withResolvers<ChatResponse>();
  const timer = setTimeout(() => reject(new Error(`no answer on ${answerOn} within 30 s`)), 30_000);
  nc.subscribe(`ai.chat.response.stream.${question.requestId ?? ""}`, {
    callback: (_error, message) => {
      claim(message);
      frames.push(fromBinary(ChatStreamChunkSchema, message.data));
    },
  });
  nc.subscribe(answerOn, {
    callback: (_error, message) => {
      claim(message);
      resolve(fromBinary(ChatResponseSchema, message.data));
    },
  });
  await nc.flush();
  nc.publish(subject, toBinary(ChatRequestSchema, create(ChatRequestSchema, question)));
  try {
    return { frames, claims, final: await promise };
  } finally {
    clearTimeout(timer);
    await nc.close();
  }
}

/** The HandlerError that the work ends with. */
export async function failure(work: Promise<unknown>): Promise<HandlerError> {
  const reason: unknown = await work.then(
    () => new Error("it did not fail"),
    (error: unknown) => error,
  );
  if (reason instanceof HandlerError) return reason;
  throw reason;
}

/** Messages of the last request to the language model. */
export function promptOf(model: ModelServer): { role: string; content: string }[] {
  const messages: unknown = model.of("chat").at(-1)?.body["messages"];
  if (!Array.isArray(messages)) throw new Error("the language model was not asked");
  return messages.map((message: { role: string; content: string }) => message);
}
