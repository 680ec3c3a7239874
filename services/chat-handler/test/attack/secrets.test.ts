// What users write, what documents hold and how the service logs in: none of it in logs, metrics, statistics, headers of dead letters, or
// errors, whatever goes wrong.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { create, toBinary } from "@bufbuild/protobuf";
import { jetstreamManager } from "@nats-io/jetstream";
import { createInbox, headers } from "@nats-io/nats-core";
import { createClient } from "@pipeline/handler-base";
import { ChatRequestSchema, ChatService } from "@pipeline/messages";
import { freePorts, startModelServer, startNats, startProcess, type ModelFault } from "@pipeline/testkit";
import { expect, test } from "vitest";
import type { Question } from "../support/chat.ts";

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const marker = "xyzzy-plugh";
const password = "swordfish-42";

const faults: readonly ModelFault[] = [
  { kind: "status", status: 500, body: `{"error":{"message":"${marker}","type":"server_error"}}` },
  { kind: "status", status: 400, body: `{"error":{"message":"maximum context length: ${marker}"}}` },
  { kind: "status", status: 429, body: marker, headers: { "retry-after": "0" } },
  { kind: "html" },
  { kind: "error in 200" },
  { kind: "cut" },
  { kind: "nan" },
];

test("user text and credentials are nowhere but where they belong", async () => {
  await using nats = await startNats({ config: `authorization { user: chat, password: "${password}" }\n` });
  await using model = await startModelServer();
  const folder = await mkdtemp(join(tmpdir(), "chat-secrets-"));
  await writeFile(join(folder, "notes.md"), `# Notes ${marker}\n\nA document about ${marker} and retries.\n`);
  const [port = 0] = await freePorts(1);
  const health = `http://127.0.0.1:${port}`;
  await using service = await startProcess({
    command: [process.execPath, main],
    readyUrl: `${health}/readyz`,
    env: {
      NATS_URL: `nats://chat:${password}@127.0.0.1:${nats.port}`,
      LLM_URL: model.url.replace("http://", `http://user:${password}@`),
      LLM_API_KEY: `key-${password}`,
      EMBEDDINGS_URL: model.url,
      RERANKER_URL: model.url,
      KNOWLEDGE_DIR: folder,
      HEALTH_PORT: String(port),
      HEALTH_HOST: "127.0.0.1",
      LOG_LEVEL: "debug",
      RETRIEVAL_TIMEOUT: "300ms",
      SHUTDOWN_GRACE: "2s",
    },
  });
  const nc = await nats.connect({ user: "chat", pass: password });
  const client = createClient(ChatService, nc);
  const told: string[] = [];
  const note = (reason: unknown) => void told.push(String(reason), reason instanceof Error ? reason.message : "");
  const question: Question = { query: `What of ${marker}?`, systemPrompt: marker, username: marker, sessionId: marker };

  model.say([`${marker} `, "it is [1]", " [9]"]);
  await client.complete({ ...question, userId: "u1" });
  for (const role of ["chat", "embeddings", "rerank"] as const) {
    for (const fault of faults) {
      model.fail(role, fault);
      await client.complete({ ...question, userId: "u1" }).catch(note);
      model.fail(role, undefined);
    }
  }
  for (const bad of [
    { ...question, topK: -1 },
    { ...question, sessionId: `${marker} with blanks` },
    { ...question, language: `${marker} 1` },
    { ...question, responseSubject: `ai.chat.${marker}.>` },
    { query: " ", systemPrompt: marker },
    { ...question, query: marker.repeat(10_000) },
  ]) {
    await client.complete(bad).catch(note);
    await client.greet({ nickname: marker, language: `${marker} 1` }).catch(note);
  }
  // By event: what cannot be read, what is refused, and another user under the same id.
  const publish = (subject: string, data: Uint8Array, type?: string) => {
    const given = headers();
    if (type !== undefined) given.set("Content-Type", type);
    nc.publish(subject, data, { headers: given });
  };
  const encode = (fields: Question) => toBinary(ChatRequestSchema, create(ChatRequestSchema, fields));
  publish("ai.chat.request", Buffer.from(`{"query":"${marker}",`), "application/json");
  publish("ai.chat.request", Buffer.from(`{"topK":"${marker}"}`), "application/json");
  publish("ai.chat.request", encode({ requestId: "bad", ...question, topK: -1 }));
  publish("ai.chat.user.u1.message", encode({ requestId: "shared", ...question, sessionId: "" }));
  await sleep(500);
  const inbox = createInbox();
  const other = new Promise<string>((resolve) => {
    nc.subscribe(inbox, { max: 1, callback: (_error, message) => resolve(told.push(message.string()) ? "told" : "") });
  });
  nc.publish("messages.v1.ChatService.Complete", encode({ requestId: "shared", userId: "u2", query: "mine" }), {
    reply: inbox,
  });
  expect(await other).toBe("told");

  const jsm = await jetstreamManager(nc);
  for (let tries = 0; tries < 100 && (await jsm.streams.info("DLQ_CHAT_HANDLER")).state.messages < 3; tries += 1) {
    await sleep(100);
  }
  const letters = await jsm.streams.info("DLQ_CHAT_HANDLER");
  for (let seq = 1; seq <= letters.state.last_seq; seq += 1) {
    const letter = await jsm.streams.getMessage("DLQ_CHAT_HANDLER", { seq });
    told.push(JSON.stringify([...(letter?.header ?? [])]), letter?.subject ?? "");
  }
  told.push(await (await fetch(`${health}/metrics`)).text(), await (await fetch(`${health}/readyz`)).text());
  for (const verb of ["PING", "INFO", "STATS"]) told.push((await nc.request(`$SRV.${verb}`)).string());
  const streams = await Array.fromAsync(jsm.streams.list());
  told.push(JSON.stringify(streams));

  // Its server goes away, and it is stopped meanwhile.
  await nats.kill();
  await sleep(500);
  service.terminate();
  await service.exited;
  expect(service.stderr).toContain('"msg":"answered"');
  expect(letters.state.messages).toBeGreaterThanOrEqual(3);
  for (const text of [service.stderr, service.stdout, ...told]) {
    expect(text).not.toContain(marker);
    expect(text).not.toContain(password);
  }
  await rm(folder, { recursive: true });
}, 60_000);

test("credentials are not told by a service that cannot start", async () => {
  const start = async (env: Record<string, string>) => {
    await using service = await startProcess({ command: [process.execPath, main], env });
    // One that finds no server waits for it.
    await Promise.race([service.exited, sleep(5000)]);
    return service.stderr;
  };
  await using nats = await startNats({ config: 'authorization { user: chat, password: "right" }\n' });
  const llm = "http://127.0.0.1:1";
  const said = await Promise.all([
    start({ NATS_URL: `nats://chat:${password}@[::bad`, LLM_URL: llm }),
    start({ NATS_URL: `http://chat:${password}@127.0.0.1:1`, LLM_URL: llm }),
    start({ NATS_URL: `nats://chat:${password}@127.0.0.1:${nats.port}`, LLM_URL: llm, HEALTH_PORT: "0" }),
    start({ NATS_URL: nats.url, LLM_URL: `ftp://user:${password}@host`, NATS_NKEY: password }),
    start({
      NATS_URL: nats.url,
      LLM_URL: llm,
      NATS_CREDS: password,
      LLM_API_KEY_FILE: `/no/such/${"x".repeat(9)}`,
    }),
    start({ NATS_URL: nats.url, LLM_URL: llm, NATS_USER: "chat", NATS_PASSWORD: password, HEALTH_PORT: "0" }),
  ]);
  expect(said.filter((text) => text !== "")).not.toEqual([]);
  for (const text of said) {
    expect(text).not.toContain(password);
  }
}, 60_000);
