// Milvus as the knowledge base: what its answers mean for the answer to a question. It tells most errors with HTTP status 200.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { degraded } from "../src/degraded.ts";
import { failure, startChat } from "./support/chat.ts";

let nats: NatsFixture;

beforeAll(async () => {
  nats = await startNats();
});
afterAll(async () => {
  await nats[Symbol.asyncDispose]();
});

interface Milvus extends AsyncDisposable {
  readonly url: string;
  /** Path and body of every call. */
  readonly calls: { path: string; body: Record<string, unknown> }[];
}

type Answer = (path: string, body: Record<string, unknown>) => unknown;

async function startMilvus(answer: Answer): Promise<Milvus> {
  const calls: Milvus["calls"] = [];
  const http = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = JSON.parse(Buffer.concat(chunks).toString() || "{}") as Record<string, unknown>;
      const path = (request.url ?? "").replace("/v2/vectordb/", "");
      calls.push({ path, body });
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify(answer(path, body)));
    });
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const { port } = http.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    calls,
    async [Symbol.asyncDispose]() {
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

const missing = { code: 100, message: "collection not found" };
const query = "When is a failed message tried again?";

function collection(dimensions: number, rows: unknown): Answer {
  return (path) => {
    if (path !== "collections/describe") return { code: 0, data: rows };
    const fields = [
      { name: "id", type: "VarChar", primaryKey: true },
      { name: "text", type: "VarChar" },
      { name: "title", type: "VarChar" },
      { name: "vector", type: "FloatVector", params: [{ key: "dim", value: String(dimensions) }] },
    ];
    const indexes = [{ fieldName: "vector", indexName: "vector", metricType: "COSINE" }];
    return { code: 0, data: { collectionName: "knowledge_base", fields, indexes, enableDynamicField: true } };
  };
}

const start = (milvus: Milvus) => startChat(nats, { env: { KNOWLEDGE_DIR: "", MILVUS_HOST: milvus.url } });

test("passages of Milvus are the sources", async () => {
  await using milvus = await startMilvus(
    collection(64, [{ id: "1", text: "After one minute.", title: "Retries", distance: 0.9 }]),
  );
  await using chat = await start(milvus);
  const { end } = await chat.ask({ query, collection: "docs" });
  expect(end).toMatchObject({ usedRag: true, degraded: [] });
  expect(end.sources).toHaveLength(1);
  expect(end.sources[0]).toMatchObject({ text: "After one minute.", title: "Retries", cited: true });
  expect(milvus.calls.every(({ body }) => body["collectionName"] === "docs")).toBe(true);
});

test("a collection that a request names and that does not exist is NOT_FOUND", async () => {
  await using milvus = await startMilvus(() => missing);
  await using chat = await start(milvus);
  expect(await failure(chat.ask({ query, collection: "nowhere" }))).toMatchObject({ code: "not_found" });
});

test("the configured collection is not there yet: an answer without sources", async () => {
  await using milvus = await startMilvus(() => missing);
  await using chat = await start(milvus);
  expect((await chat.ask({ query })).end).toMatchObject({ usedRag: false, degraded: [degraded.collection] });
});

test.each([
  ["an error with status 200", { code: 65535, message: "node is down" }],
  ["something that is no answer", ["?"]],
])("%s: an answer without sources", async (_what, answer) => {
  await using milvus = await startMilvus(() => answer);
  await using chat = await start(milvus);
  expect((await chat.ask({ query })).end).toMatchObject({ usedRag: false, degraded: [degraded.knowledge] });
});

test("a collection of another embeddings model, without a keyword index: an answer without sources", async () => {
  await using milvus = await startMilvus(collection(1024, []));
  await using chat = await start(milvus);
  expect((await chat.ask({ query })).end).toMatchObject({ usedRag: false, degraded: [degraded.knowledge] });
});

test("nothing found: the language model is told so", async () => {
  await using milvus = await startMilvus(collection(64, []));
  await using chat = await start(milvus);
  const { end } = await chat.ask({ query });
  expect(end).toMatchObject({ usedRag: false, sources: [], degraded: [] });
});
