import { expect, test } from "vitest";
import { failure, json, plain, type Recorded, type Script } from "../inference/server.ts";
import { call, description, field, passage, pathOf, query, setup } from "./milvus-server.ts";

const refuse = (code: number, message: string) => (_request: Recorded, response: Parameters<Script>[1]) =>
  json(response, { code, message });

test.each([
  [100, "not_found", /collection c does not exist/],
  [101, "failed_precondition", /code 101/],
  [1, "unavailable", /code 1\)/],
  [8, "resource_exhausted", /code 8/],
  [401, "unavailable", /code 401/],
  [1100, "invalid_argument", /code 1100/],
  [1401, "permission_denied", /code 1401/],
  [1800, "unauthenticated", /code 1800/],
  [4711, "internal", /code 4711/],
])("HTTP 200 with code %i is an error", async (code, mapped, message) => {
  const { store, server } = await setup({ "entities/search": refuse(code, "secret text of a passage") });
  const error = await failure(store.search(query, call));
  expect(error.code).toBe(mapped);
  expect(error.message).toMatch(message);
  expect(server.requests).toHaveLength(2);
});

test("after an error the collection is looked at anew: it may have been made again with another shape", async () => {
  const { store, answers, last } = await setup();
  await store.search({ ...query, text: "words" }, call);
  answers["collections/describe"] = { ...description, functions: [] };
  answers["entities/hybrid_search"] = refuse(1100, "field sparse not found");
  expect(await failure(store.search({ ...query, text: "words" }, call))).toMatchObject({ code: "invalid_argument" });
  expect(await store.search({ ...query, text: "words" }, call)).toHaveLength(1);
  expect(pathOf(last())).toBe("entities/search");
});

test("the server's own words are told where no text of anybody can be in them", async () => {
  const { store } = await setup({
    "collections/has": { has: false },
    "collections/create": refuse(1100, "invalid dimension: 9"),
  });
  expect((await failure(store.create("c", { dimensions: 9 }, call))).message).toContain("invalid dimension: 9");
});

test("an unknown collection is not found by every method but create, has and drop", async () => {
  const { store } = await setup({
    "collections/describe": refuse(100, "can't find collection"),
    "collections/has": { has: false },
  });
  const runs = [
    () => store.search({ ...query, collection: "absent" }, call),
    () => store.upsert("absent", [passage], call),
    () => store.list("absent", "a.md", call),
    () => store.delete("absent", ["a"], call),
    () => store.retain("absent", ["a.md"], call),
  ];
  for (const run of runs) expect((await failure(run())).message).toBe("the collection absent does not exist");
  expect(await store.has("absent", call)).toBe(false);
  await store.drop("absent", call);
  expect((await failure(store.list("secret name; drop", "a", call))).message).toBe(
    "the collection of that name does not exist",
  );
});

test.each<[string, Script, string, RegExp]>([
  ["HTML", (_request, response) => plain(response, 200, "<html>secret"), "unavailable", /HTML instead of JSON/],
  ["garbage", (_request, response) => plain(response, 200, "secret"), "unavailable", /not JSON/],
  [
    "garbage with long numbers",
    (_request, response) => plain(response, 200, "{12345678901234567890"),
    "unavailable",
    /not JSON/,
  ],
  ["nothing", (_request, response) => plain(response, 200, ""), "unavailable", /empty body/],
  [
    "another server's JSON",
    (_request, response) => json(response, { results: [] }),
    "unavailable",
    /does not answer as Milvus/,
  ],
  ["a list", (_request, response) => json(response, []), "unavailable", /does not answer as Milvus/],
  [
    "a cut body",
    (_request, response) =>
      void (
        response.writeHead(200, { "content-length": "1000" }),
        response.write('{"code":0,"data":[', () => response.destroy())
      ),
    "unavailable",
    /was cut/,
  ],
  ["401", (_request, response) => plain(response, 401, "secret"), "unauthenticated", /401/],
  ["404", (_request, response) => plain(response, 404, "404 page not found"), "not_found", /404/],
  ["429", (_request, response) => plain(response, 429, "", { "retry-after": "60" }), "resource_exhausted", /429/],
  ["500", (_request, response) => plain(response, 500, "secret"), "internal", /500/],
])("%s instead of an answer is told as what it is", async (_name, script, code, message) => {
  const { store } = await setup({ "entities/search": script });
  const error = await failure(store.search(query, call));
  expect(error.code).toBe(code);
  expect(error.message).toMatch(message);
});

test("wrong dimensions are refused before the search, and found to be right after the collection was made anew", async () => {
  const { store, server, answers } = await setup();
  await store.search(query, call);
  const wide = new Float32Array([1, 2, 3]);
  expect(await failure(store.search({ ...query, vector: wide }, call))).toMatchObject({ code: "invalid_argument" });
  expect(await failure(store.upsert("c", [{ ...passage, vector: wide }], call))).toMatchObject({
    code: "invalid_argument",
  });
  expect(
    await failure(store.upsert("c", [{ ...passage, vector: new Float32Array([Number.NaN, 1]) }], call)),
  ).toMatchObject({ code: "invalid_argument" });
  expect(server.requests.filter((each) => pathOf(each) === "entities/search")).toHaveLength(1);
  answers["collections/describe"] = {
    ...description,
    fields: description.fields.map((each) =>
      each.name === "vector" ? field("vector", "FloatVector", { params: [{ key: "dim", value: "3" }] }) : each,
    ),
  };
  expect(await store.search({ ...query, vector: wide }, call)).toHaveLength(1);
});

test.each([0, -1, 1.5, Number.NaN, 20_000])("a limit of %d is refused", async (limit) => {
  const { store, server } = await setup();
  expect(await failure(store.search({ ...query, limit }, call))).toMatchObject({ code: "invalid_argument" });
  expect(server.requests.filter((each) => pathOf(each) === "entities/search")).toHaveLength(0);
});

test("a silent server ends with the header timeout, the deadline or the signal, and hears of it", async () => {
  const { store, server } = await setup({ "entities/search": () => undefined }, { headerTimeoutMs: 200 });
  expect(await failure(store.search(query, call))).toMatchObject({ code: "unavailable" });
  expect(await failure(store.search(query, { ...call, deadline: Date.now() + 150 }))).toMatchObject({
    code: "deadline_exceeded",
  });
  const controller = new AbortController();
  const running = failure(store.search(query, { signal: controller.signal }));
  while (server.requests.filter((each) => pathOf(each) === "entities/search").length < 3)
    await new Promise((resolve) => setTimeout(resolve, 5));
  controller.abort();
  expect(await running).toMatchObject({ code: "canceled" });
  await Promise.all(server.requests.filter((each) => pathOf(each) === "entities/search").map((each) => each.aborted));
});

test("an answer beyond all bounds is refused", async () => {
  const { store } = await setup({
    "entities/search": (_request: Recorded, response: Parameters<Script>[1]) => {
      response.writeHead(200, { "content-type": "application/json" });
      const piece = "x".repeat(1024 * 1024);
      const write = (): void => {
        while (!response.destroyed && response.write(piece));
      };
      response.on("drain", write);
      write();
    },
  });
  expect(await failure(store.search(query, call))).toMatchObject({ code: "resource_exhausted", retryable: false });
}, 30_000);
