// One conversation with chat-handler, with one marker in everything that users wrote, models said and documents hold, and what the
// collector has got of it when both have ended.
import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/nats-core";
import { ChatService } from "@pipeline/messages";
import { startNats, type Exit, type ModelRequest } from "@pipeline/testkit";
import { createClient } from "../src/index.ts";
import { startChatHandler, type ChatHandler, type Form } from "./chat-handler.ts";
import { startOtelCollector, type Taken } from "./otel-collector.ts";
import { ask, next, questionSubject, withTelemetry } from "./publisher.ts";

/** Stands in questions, instructions, documents, history, answers, errors of servers and what cannot be decoded. */
export const marker = "quetzalcoatlus";

export interface Recorded extends Said {
  readonly taken: Taken;
  readonly exit: Exit;
  /** What the service wrote to its log. */
  readonly log: string;
  /** Of all model servers. */
  readonly requests: readonly ModelRequest[];
}

interface Said {
  /** To an event and to a call of the typed client. */
  readonly answers: readonly [string, string];
  /** What the model was asked for the second of them. */
  readonly prompt: string;
  /** What was told of a question that the models refused, of one with an invalid field, and of bytes that are none. */
  readonly failures: readonly [string, string, string];
}

const documents = {
  "size.md": `# The ${marker}\n\n## Size of the ${marker}\n\nThe ${marker} had wings of eleven metres.\n`,
  "food.md": `# Food\n\n## What the ${marker} ate\n\nThe ${marker} ate small animals on the ground.\n`,
};

export const eventId = "event-1";
const tracedWithinMs = 60_000;

export async function record(form: Form): Promise<Recorded> {
  await using nats = await startNats();
  await using collector = await startOtelCollector();
  await using chat = await startChatHandler({ form, natsUrl: nats.url, collectorUrl: collector.url, documents });
  const nc = await nats.connect();
  await untilTraced(chat, nc);
  const said = await withTelemetry(collector.url, () => talk(chat, nc));
  chat.process.terminate();
  const exit = await chat.process.exited;
  return {
    ...said,
    taken: await collector.end(),
    exit,
    log: chat.process.stderr + chat.process.stdout,
    requests: Object.values(chat.models).flatMap(({ requests }) => requests),
  };
}

/** The service loads its telemetry after it is ready: from then on it tells its model servers their trace. */
async function untilTraced(chat: ChatHandler, nc: NatsConnection): Promise<void> {
  const client = createClient(ChatService, nc);
  const end = performance.now() + tracedWithinMs;
  while (performance.now() < end) {
    await client.complete({ query: "warm-up", enableRag: false });
    if (lastOf(chat)?.headers["traceparent"] !== undefined) return;
    await sleep(50);
  }
  throw new Error(`chat-handler traces nothing:\n${chat.process.stderr.slice(-4000)}`);
}

async function talk(chat: ChatHandler, nc: NatsConnection): Promise<Said> {
  const { llm, reranker } = chat.models;
  const client = createClient(ChatService, nc);
  const question = { query: `How large was the ${marker}?`, userId: "u1", sessionId: "session-1" };
  llm.say([`The ${marker} `, "had wings of eleven metres [1]."]);
  const final = await ask(nc, { ...question, requestId: eventId, enableStreaming: true, systemPrompt: marker });
  const chunks = await Array.fromAsync(client.chat({ ...question, query: `And what did the ${marker} eat?` }));
  const prompt = JSON.stringify(lastOf(chat)?.body);

  const quoting = JSON.stringify({
    error: { message: `${marker} is not allowed`, type: "BadRequestError", param: marker },
  });
  reranker.fail("rerank", { kind: "status", status: 400, body: quoting }, 1);
  llm.fail("chat", { kind: "status", status: 400, body: quoting }, 1);
  const refused = await failure(client.complete(question));
  const invalid = await failure(client.complete({ ...question, language: marker.repeat(3) }));
  const told = next(nc, "ai.chat.response.>");
  nc.publish(questionSubject, Buffer.from(`\u0000${marker}`));
  const unreadable = (await told).headers?.get("Nats-Service-Error-Code") ?? "";
  return {
    answers: [final.response, chunks.map(({ content }) => content).join("")],
    prompt,
    failures: [refused, invalid, unreadable],
  };
}

const lastOf = ({ models }: ChatHandler): ModelRequest | undefined => models.llm.of("chat").at(-1);

const failure = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "it did not fail",
    (reason: unknown) => String(reason),
  );
