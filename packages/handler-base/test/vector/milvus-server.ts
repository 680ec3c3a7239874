// A scripted Milvus: each path answers with data or by a script of its own.
import { afterEach } from "vitest";
import { openMilvus, type MilvusOptions, type PassageInput } from "../../src/vector/index.ts";
import { json, startServer, type Recorded, type Script } from "../inference/server.ts";

export const call = { signal: new AbortController().signal };
const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each[Symbol.asyncDispose]();
});

export const field = (name: string, type: string, more: object = {}) => ({ name, type, primaryKey: false, ...more });
export const description = {
  fields: [
    field("id", "VarChar", { primaryKey: true }),
    field("text", "VarChar"),
    field("keywords", "VarChar"),
    field("title", "VarChar"),
    field("section", "VarChar"),
    field("uri", "VarChar"),
    field("position", "Int64"),
    field("vector", "FloatVector", { params: [{ key: "dim", value: "2" }] }),
    field("sparse", "SparseFloatVector"),
  ],
  functions: [{ name: "bm25", inputFieldNames: ["keywords"], outputFieldNames: ["sparse"] }],
  indexes: [
    { fieldName: "vector", indexName: "vector", metricType: "COSINE" },
    { fieldName: "sparse", indexName: "sparse", metricType: "BM25" },
  ],
  enableDynamicField: false,
};
export const hit = { id: "a", text: "found", title: "T", section: "S", uri: "a.md", position: "3", distance: 0.5 };

/** A server that answers each path with `data`, or as its own script says. */
export async function setup(own: Record<string, unknown> = {}, options: Partial<MilvusOptions> = {}) {
  const answers: Record<string, unknown> = {
    "collections/describe": description,
    "collections/has": { has: true },
    "entities/search": [hit],
    "entities/hybrid_search": [hit],
    "entities/query": [],
    ...own,
  };
  const server = await startServer((request, response, count) => {
    const answer = answers[pathOf(request)];
    if (typeof answer === "function") return (answer as Script)(request, response, count);
    return json(response, { code: 0, data: answer ?? {} });
  });
  const store = openMilvus({ url: server.url, ...options });
  open.push(server, store);
  const last = (): Recorded => {
    const request = server.requests.at(-1);
    if (request === undefined) throw new Error("nothing was asked");
    return request;
  };
  return { server, store, last, answers };
}

export const pathOf = (request: Recorded): string => request.path.replace("/v2/vectordb/", "");
export const vector = new Float32Array([1, 0.1]);
export const query = { collection: "c", vector, limit: 2 };
export const passage: PassageInput = {
  id: "a",
  text: "text",
  title: "T",
  section: "S",
  position: 1,
  uri: "a.md",
  vector,
};
