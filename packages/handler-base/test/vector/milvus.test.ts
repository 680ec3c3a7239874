import { expect, test } from "vitest";
import { openMilvus } from "../../src/vector/index.ts";
import { failure, json, recordOf, stringsOf, type Recorded, type Script } from "../inference/server.ts";
import { call, description, field, passage, pathOf, query, setup } from "./milvus-server.ts";

test("searches by vector, by words, and by both with the server's own fusion", async () => {
  const { store, server, last } = await setup({}, { token: "user:password", database: "d" });
  const found = { id: "a", text: "found", title: "T", section: "S", uri: "a.md", position: 3, score: 0.5 };
  expect(await store.search(query, call)).toEqual([found]);
  expect(last()).toMatchObject({
    path: "/v2/vectordb/entities/search",
    headers: { authorization: "Bearer user:password" },
    body: {
      dbName: "d",
      collectionName: "c",
      data: [[1, 0.100000001]],
      annsField: "vector",
      limit: 2,
      outputFields: ["text", "title", "section", "position", "uri"],
    },
  });
  await store.search({ collection: "c", text: "some words", limit: 2 }, call);
  expect(last().body).toMatchObject({ data: ["some words"], annsField: "sparse" });
  await store.search({ ...query, text: "some words" }, call);
  expect(last()).toMatchObject({
    path: "/v2/vectordb/entities/hybrid_search",
    body: {
      search: [
        { data: [[1, 0.100000001]], annsField: "vector", metricType: "COSINE", limit: 50 },
        { data: ["some words"], annsField: "sparse", metricType: "BM25", limit: 50 },
      ],
      rerank: { strategy: "rrf", params: { k: 60 } },
      limit: 2,
    },
  });
  expect(server.requests.filter((request) => pathOf(request) === "collections/describe")).toHaveLength(1);
});

test("a collection without a BM25 field is asked for vectors alone", async () => {
  const { store, last } = await setup({ "collections/describe": { ...description, functions: [] } });
  await store.search({ ...query, text: "words" }, call);
  expect(last().path).toBe("/v2/vectordb/entities/search");
  expect(await failure(store.search({ collection: "c", text: "words", limit: 1 }, call))).toMatchObject({
    code: "failed_precondition",
  });
});

test("reads collections that others made: own field names, Int64 ids of any size, a distance as metric", async () => {
  const { store, last } = await setup(
    {
      "collections/describe": {
        fields: [
          field("pk", "Int64", { primaryKey: true, autoId: true }),
          field("body", "VarChar"),
          field("emb", "Float16Vector", { params: [{ key: "dim", value: 2 }] }),
        ],
        indexes: [{ fieldName: "emb", metricType: "L2" }],
      },
      "entities/search": (_request: Recorded, response: Parameters<Script>[1]) =>
        json(
          response,
          '{"code":0,"data":[{"pk":455123456789012345,"distance":1,"body":"b 1234567890123456789"},{"pk":"7","distance":3}]}',
        ),
    },
    { fields: { text: "body" } },
  );
  const found = await store.search(query, call);
  expect(found.map(({ id, text, score }) => [id, text, score])).toEqual([
    ["455123456789012345", "b 1234567890123456789", 0.5],
    ["7", "", 0.25],
  ]);
  expect(last().body).toMatchObject({ annsField: "emb", outputFields: ["body"] });
  await store.delete("c", ["455123456789012345", "-7"], call);
  expect(last().body).toMatchObject({ filter: "pk in [455123456789012345, -7]" });
  expect(await failure(store.delete("c", ["1] or pk > 0 or pk in [1"], call))).toMatchObject({
    code: "invalid_argument",
  });
  expect(await failure(store.upsert("c", [passage], call))).toMatchObject({ code: "failed_precondition" });
  expect(await failure(store.list("c", "a.md", call))).toMatchObject({ code: "failed_precondition" });
});

test("a collection without the text field is told instead of giving empty passages", async () => {
  const { store } = await setup({}, { fields: { text: "content" } });
  const error = await failure(store.search(query, call));
  expect(error).toMatchObject({ code: "failed_precondition" });
  expect(error.message).toContain('no field "content"');
});

test("makes a collection with dense vectors and keywords over title, section and text", async () => {
  const { store, server, last } = await setup({ "collections/has": { has: false } });
  await store.create("c", { dimensions: 3 }, call);
  const schema = recordOf(last().body["schema"]);
  expect(schema["fields"]).toContainEqual({
    fieldName: "vector",
    dataType: "FloatVector",
    elementTypeParams: { dim: 3 },
  });
  expect(schema["functions"]).toMatchObject([
    { type: "BM25", inputFieldNames: ["keywords"], outputFieldNames: ["sparse"] },
  ]);
  expect(await failure(store.create("c", { dimensions: 0 }, call))).toMatchObject({ code: "invalid_argument" });
  await store.drop("c", call);
  expect(server.requests.map(pathOf)).toEqual(["collections/has", "collections/create", "collections/has"]);
});

test("a collection that exists with other dimensions is told", async () => {
  const { store } = await setup();
  await store.create("c", { dimensions: 2 }, call);
  const error = await failure(store.create("c", { dimensions: 3 }, call));
  expect(error).toMatchObject({ code: "failed_precondition" });
  expect(error.message).toContain("2 dimensions, not 3");
});

test("stores passages in batches, the larger their vectors the smaller", async () => {
  const { store, server } = await setup();
  const many = Array.from({ length: 450 }, (_, at) => ({ ...passage, id: String(at) }));
  await store.upsert("c", many, call);
  const sizes = () =>
    server.requests
      .filter((each) => pathOf(each) === "entities/upsert")
      .map((each) => (Array.isArray(each.body["data"]) ? each.body["data"].length : 0));
  expect(sizes()).toEqual([200, 200, 50]);
  expect(server.requests.at(-1)?.body["data"]).toContainEqual({
    id: "449",
    text: "text",
    title: "T",
    section: "S",
    position: 1,
    uri: "a.md",
    keywords: "T\nS\ntext",
    vector: [1, 0.100000001],
  });
  const wide = await setup({
    "collections/describe": {
      ...description,
      fields: description.fields.map((each) =>
        each.name === "vector" ? field("vector", "FloatVector", { params: [{ key: "dim", value: "32768" }] }) : each,
      ),
    },
  });
  const large = new Float32Array(32_768).fill(1);
  await wide.store.upsert(
    "c",
    Array.from({ length: 40 }, (_, at) => ({ ...passage, id: String(at), vector: large })),
    call,
  );
  expect(
    wide.server.requests.slice(1).map((each) => (Array.isArray(each.body["data"]) ? each.body["data"].length : 0)),
  ).toEqual([30, 10]);
});

test("no value becomes part of a filter: quotes and operators of a document's name stay values", async () => {
  const { store, last } = await setup();
  const evil = 'a.md" or uri != "';
  await store.list("c", evil, call);
  expect(last().body).toMatchObject({
    filter: "uri == {uri} and position >= {from} and position < {to}",
    exprParams: { uri: evil, from: 0, to: 8192 },
  });
  await store.delete("c", [evil], call);
  expect(last().body).toMatchObject({ filter: "id in {ids}", exprParams: { ids: [evil] } });
  await store.retain("c", [evil], call);
  expect(last().body).toMatchObject({ filter: "uri not in {uris}", exprParams: { uris: [evil] } });
  await store.retain("c", [], call);
  expect(last().body).toMatchObject({ filter: "position >= {first}", exprParams: { first: 0 } });
  expect(() => openMilvus({ url: "http://h", fields: { uri: 'uri" or "1' } })).toThrow(/no name of a Milvus field/);
  await store.search({ collection: "c", text: evil, limit: 1 }, call);
  expect(last().body["filter"]).toBeUndefined();
});

test("a key whose name is no name never reaches a filter", async () => {
  const fields = description.fields.map((each) => (each.name === "id" ? { ...each, name: "id or 1 == 1" } : each));
  const { store, last } = await setup({ "collections/describe": { ...description, fields } });
  await store.delete("c", ["x"], call);
  expect(last().body["filter"]).toBe("id in {ids}");
});

test("lists a document of more passages than one answer may hold", async () => {
  const rows = (from: number, count: number) =>
    Array.from({ length: count }, (_, at) => ({ id: `p${from + at}`, position: String(from + at) }));
  const { store } = await setup({
    "entities/query": (request: Recorded, response: Parameters<Script>[1]) => {
      const from = Number(recordOf(request.body["exprParams"])["from"]);
      json(response, { code: 0, data: rows(from, from === 0 ? 8192 : 10) });
    },
  });
  const stored = await store.list("c", "a.md", call);
  expect(stored).toHaveLength(8202);
  expect(stored.at(-1)).toEqual({ id: "p8201", position: 8201 });
});

test("deletes ids in batches", async () => {
  const { store, server } = await setup();
  await store.delete(
    "c",
    Array.from({ length: 2500 }, (_, at) => String(at)),
    call,
  );
  expect(server.requests.slice(1).map((each) => stringsOf(recordOf(each.body["exprParams"])["ids"]).length)).toEqual([
    1000, 1000, 500,
  ]);
});
