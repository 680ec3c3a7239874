import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { openEmbeddings } from "../../src/inference/index.ts";
import {
  ingest,
  openEmbeddedStore,
  readMarkdownFolder,
  type IngestDocument,
  type VectorStore,
} from "../../src/vector/index.ts";
import { failure, json, plain, startServer, stringsOf } from "../inference/server.ts";

const call = { signal: new AbortController().signal };
const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each[Symbol.asyncDispose]();
});

/** A store and an embeddings server that counts letters; `log` holds what each was asked, in order. */
async function setup() {
  const log: string[] = [];
  const server = await startServer((request, response) => {
    const input = stringsOf(request.body["input"]);
    log.push(`embed ${input.length}`);
    json(response, { data: input.map((text, index) => ({ index, embedding: [text.length, 1] })) });
  });
  const embeddings = openEmbeddings({ urls: [server.url], batchSize: 1000 });
  const inner = openEmbeddedStore();
  const store: VectorStore = {
    ...inner,
    upsert: async (collection, passages, options) => {
      log.push(`upsert ${passages.map((each) => each.text).join("|")}`);
      await inner.upsert(collection, passages, options);
    },
    delete: async (collection, ids, options) => {
      log.push(`delete ${ids.length}`);
      await inner.delete(collection, ids, options);
    },
  };
  open.push(server, embeddings, store);
  const run = (documents: readonly IngestDocument[], more: { prune?: boolean; batchSize?: number } = {}) =>
    ingest({ store, embeddings, collection: "c", documents, ...call, ...more });
  const texts = async () =>
    (await store.search({ collection: "c", vector: new Float32Array([1, 1]), limit: 100 }, call))
      .map((each) => each.text)
      .toSorted();
  return { log, server, store, embeddings, run, texts };
}

const sections = (...all: string[]): string => `# T\n\n${all.map((text) => `## ${text}\n\n${text}.`).join("\n\n")}`;

test("stores every passage of every document with its vector", async () => {
  const { run, texts, log } = await setup();
  const summary = await run([
    { uri: "a.md", text: sections("one", "two") },
    { uri: "b.md", text: sections("three") },
  ]);
  expect(summary).toEqual({ documents: 2, added: 3, unchanged: 0, removed: 0 });
  expect(await texts()).toEqual(["one.", "three.", "two."]);
  expect(log).toEqual(["embed 3", "upsert one.|two.|three."]);
});

test("what is unchanged is not embedded again; stale passages go after the new ones are stored", async () => {
  const { run, texts, log } = await setup();
  await run([{ uri: "a.md", text: sections("one", "two", "three") }]);
  log.length = 0;
  expect(await run([{ uri: "a.md", text: sections("one", "two", "three") }])).toEqual({
    documents: 1,
    added: 0,
    unchanged: 3,
    removed: 0,
  });
  expect(log).toEqual([]);
  const changed = await run([{ uri: "a.md", text: sections("one", "other", "three") }]);
  expect(changed).toEqual({ documents: 1, added: 1, unchanged: 2, removed: 1 });
  expect(log).toEqual(["embed 1", "upsert other.", "delete 1"]);
  expect(await texts()).toEqual(["one.", "other.", "three."]);
});

test("a new title reaches passages whose text stays", async () => {
  const { run, store } = await setup();
  await run([{ uri: "a.md", text: sections("one") }]);
  expect(await run([{ uri: "a.md", text: sections("one").replace("# T", "# New") }])).toMatchObject({
    added: 1,
    removed: 1,
  });
  expect(await store.search({ collection: "c", text: "one", limit: 5 }, call)).toMatchObject([{ title: "New" }]);
});

test("asks for at most one batch at a time and goes on with batches across documents", async () => {
  const { run, log } = await setup();
  const documents = Array.from({ length: 5 }, (_, at) => ({
    uri: `${at}.md`,
    text: sections(`a${at}`, `b${at}`, `c${at}`),
  }));
  await run(documents, { batchSize: 4 });
  expect(log.filter((line) => line.startsWith("embed"))).toEqual(["embed 4", "embed 4", "embed 4", "embed 3"]);
});

test("stale passages of many documents go in batches, too", async () => {
  const { run, log, texts } = await setup();
  const documents = (...parts: string[]) =>
    Array.from({ length: 6 }, (_, at) => ({ uri: `${at}.md`, text: sections(...parts.map((part) => `${part}${at}`)) }));
  await run(documents("a", "b", "c"));
  log.length = 0;
  await run(documents("a"), { batchSize: 5 });
  expect(log).toEqual(["delete 6", "delete 6"]);
  expect(await texts()).toHaveLength(6);
});

test("prune removes documents that are gone, but not all of them for an empty folder", async () => {
  const { run, texts } = await setup();
  await run([
    { uri: "a.md", text: sections("one") },
    { uri: "b.md", text: sections("two") },
  ]);
  await run([{ uri: "a.md", text: sections("one") }]);
  expect(await texts()).toEqual(["one.", "two."]);
  await run([{ uri: "a.md", text: sections("one") }], { prune: true });
  expect(await texts()).toEqual(["one."]);
  expect(await failure(run([], { prune: true }))).toMatchObject({ code: "failed_precondition" });
  expect(await texts()).toEqual(["one."]);
});

test("what was stored before a failure stays, and the next run goes on from there", async () => {
  const { run, texts, server, log } = await setup();
  const script = server.script;
  server.script = (request, response, count) =>
    count === 2 ? plain(response, 400, "") : script(request, response, count);
  const documents = [{ uri: "a.md", text: sections("one", "two", "three") }];
  expect(await failure(run(documents, { batchSize: 1 }))).toMatchObject({ code: "invalid_argument" });
  expect(await texts()).toEqual(["one."]);
  log.length = 0;
  expect(await run(documents)).toMatchObject({ added: 2, unchanged: 1 });
  expect(log[0]).toBe("embed 2");
});

test("refuses a document that is given twice, and another embedding model's vectors", async () => {
  const { run, store } = await setup();
  const document = { uri: "a.md", text: sections("one") };
  expect(await failure(run([document, document]))).toMatchObject({ code: "invalid_argument" });
  await store.create("c", { dimensions: 3 }, call);
  expect(await failure(run([document]))).toMatchObject({ code: "failed_precondition" });
});

test("an abort ends it within the embedding", async () => {
  const { server, store, embeddings } = await setup();
  server.script = () => undefined;
  const controller = new AbortController();
  const documents = [{ uri: "a.md", text: sections("one") }];
  const running = failure(ingest({ store, embeddings, collection: "c", documents, signal: controller.signal }));
  while (server.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  controller.abort();
  expect(await running).toMatchObject({ code: "canceled" });
  await server.requests[0]?.aborted;
});

test("without embeddings a collection of words is made", async () => {
  const { store } = await setup();
  await ingest({ store, collection: "w", documents: [{ uri: "a.md", text: sections("one") }], ...call });
  expect(await store.search({ collection: "w", text: "one", limit: 1 }, call)).toHaveLength(1);
});

async function tree(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "markdown-folder-"));
  open.push({ [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) });
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(folder, path, ".."), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return folder;
}

test("reads the markdown of a folder in order, and neither hidden nor installed nor linked files", async () => {
  const folder = await tree({
    "b.md": "b",
    "a.markdown": "a",
    "docs/z.MD": "z",
    "docs/deep/y.md": "y",
    "docs.md": "docs",
    "c.txt": "no",
    ".hidden/x.md": "no",
    "docs/.x.md": "no",
    "node_modules/p/README.md": "no",
    "docs/node_modules/p/README.md": "no",
  });
  await symlink("/etc/hostname", join(folder, "link.md"));
  const found = await Array.fromAsync(readMarkdownFolder(folder, call), ({ uri, text }) => `${uri}=${text}`);
  expect(found).toEqual(["a.markdown=a", "b.md=b", "docs.md=docs", "docs/deep/y.md=y", "docs/z.MD=z"]);
  expect(found).toEqual(found.toSorted());
});

test("says which folder or file cannot be read, and stops when told", async () => {
  expect(await failure(Array.fromAsync(readMarkdownFolder("/no/such/folder", call)))).toMatchObject({
    code: "not_found",
  });
  const folder = await tree({ "a.md": "a", "b.md": "" });
  await truncate(join(folder, "b.md"), 17 * 1024 * 1024);
  const error = await failure(Array.fromAsync(readMarkdownFolder(folder, call)));
  expect(error).toMatchObject({ code: "resource_exhausted", retryable: false });
  expect(error.message).toContain("b.md");
  expect(await failure(Array.fromAsync(readMarkdownFolder(folder, { signal: AbortSignal.abort() })))).toMatchObject({
    code: "canceled",
  });
});
