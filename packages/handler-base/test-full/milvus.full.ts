// The client of Milvus against a real engine: Milvus Lite behind a front that speaks the REST interface.
import { afterAll, beforeAll, expect, test } from "vitest";
import { openMilvus, type VectorStore } from "../src/vector/index.ts";
import { storeCases } from "../test/vector/conformance.ts";
import { failure } from "../test/inference/server.ts";
import { startPython, type PythonServer } from "./server.ts";

const opened = new AsyncDisposableStack();
let server: PythonServer;
let store: VectorStore;
beforeAll(async () => {
  server = await startPython({
    packages: "milvus",
    program: "milvus_front.py",
    readyPath: "/",
    readyWithinMs: 120_000,
  });
  opened.use(server);
  store = opened.use(openMilvus({ url: server.url }));
});
afterAll(() => opened.disposeAsync());

test.each(storeCases.map((each, at) => ({ ...each, collection: `c${at}` })))(
  "Milvus $name",
  async ({ run, collection }) => {
    await expect(run(store, collection)).resolves.toBeUndefined();
  },
);

test("a server that ends is told, not waited for", async () => {
  await server.process.kill();
  const { signal } = new AbortController();
  const error = await failure(store.has("c0", { signal }));
  expect(error).toMatchObject({ code: "unavailable", retryable: true });
});
