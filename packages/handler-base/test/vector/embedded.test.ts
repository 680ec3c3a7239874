import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openEmbeddedStore, type PassageInput, type VectorStore } from "../../src/vector/index.ts";
import { failure } from "../inference/server.ts";

const call = { signal: new AbortController().signal };
let folder = "";
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), "embedded-store-"))));
afterEach(async () => rm(folder, { recursive: true, force: true }));

const passage = (id: string, text: string, more: Partial<PassageInput> = {}): PassageInput => ({
  id,
  text,
  title: "Title",
  section: "Section",
  position: 0,
  ...more,
});
const vector = (...values: number[]) => new Float32Array(values);

async function filled(store: VectorStore): Promise<VectorStore> {
  await store.create("c", { dimensions: 2 }, call);
  await store.upsert(
    "c",
    [
      passage("lease", "a lease is renewed", { vector: vector(1, 0), uri: "a.md", position: 3 }),
      passage("retry", "a retry is delayed", { vector: vector(0, 1), uri: "b.md" }),
      passage("both", "a lease and a retry", { vector: vector(1, 1) }),
    ],
    call,
  );
  return store;
}
const ids = async (store: VectorStore, query: { vector?: Float32Array; text?: string; limit?: number }) =>
  (await store.search({ collection: "c", limit: 3, ...query }, call)).map((found) => found.id);

test("finds by vector, by words and by both", async () => {
  await using store = await filled(openEmbeddedStore());
  expect(await ids(store, { vector: vector(1, 0.1) })).toEqual(["lease", "both", "retry"]);
  expect(await ids(store, { text: "delayed" })).toEqual(["retry"]);
  expect(await ids(store, { vector: vector(1, 0.5), text: "retry" })).toEqual(["both", "retry", "lease"]);
  expect(await ids(store, { vector: vector(1, 0), text: "  ", limit: 1 })).toEqual(["lease"]);
  const [found] = await store.search({ collection: "c", vector: vector(1, 0), limit: 1 }, call);
  expect(found).toEqual({
    id: "lease",
    text: "a lease is renewed",
    title: "Title",
    section: "Section",
    position: 3,
    uri: "a.md",
    score: 1,
  });
});

test("replaces, deletes, lists and keeps by document", async () => {
  await using store = await filled(openEmbeddedStore());
  await store.upsert(
    "c",
    [passage("retry", "a lease instead", { vector: vector(1, 0), uri: "b.md", position: 7 })],
    call,
  );
  expect(await ids(store, { text: "delayed" })).toEqual([]);
  expect(await store.list("c", "b.md", call)).toEqual([{ id: "retry", position: 7 }]);
  expect(await store.list("c", "absent.md", call)).toEqual([]);
  await store.delete("c", ["lease", "absent"], call);
  expect((await ids(store, { vector: vector(1, 0) })).toSorted()).toEqual(["both", "retry"]);
  await store.retain("c", ["b.md"], call);
  expect(await ids(store, { vector: vector(1, 0) })).toEqual(["retry"]);
  await store.drop("c", call);
  expect(await store.has("c", call)).toBe(false);
  await store.drop("c", call);
});

test.each<[string, (store: VectorStore) => Promise<unknown>, string, RegExp]>([
  [
    "an unknown collection",
    (store) => store.search({ collection: "x", text: "a", limit: 1 }, call),
    "not_found",
    /collection x /,
  ],
  ["a name that could be anything", (store) => store.list("secret words", "u", call), "not_found", /of that name/],
  [
    "a vector of another length",
    (store) => ids(store, { vector: vector(1) }),
    "invalid_argument",
    /of 2 dimensions, not a vector of 1/,
  ],
  [
    "a question with NaN in it",
    (store) => ids(store, { vector: vector(Number.NaN, 1) }),
    "invalid_argument",
    /not finite/,
  ],
  [
    "a passage with NaN in it",
    (store) => store.upsert("c", [passage("n", "x", { vector: vector(Number.NaN, 1) })], call),
    "invalid_argument",
    /not finite/,
  ],
  [
    "a passage without its vector",
    (store) => store.upsert("c", [passage("n", "x")], call),
    "invalid_argument",
    /not no vector/,
  ],
  ["nothing to search for", (store) => ids(store, { text: " " }), "invalid_argument", /vector or words/],
  ["a limit of 0", (store) => ids(store, { text: "a", limit: 0 }), "invalid_argument", /limit/],
  ["a negative limit", (store) => ids(store, { text: "a", limit: -1 }), "invalid_argument", /limit/],
  ["a limit that is no number", (store) => ids(store, { text: "a", limit: Number.NaN }), "invalid_argument", /limit/],
  ["a limit beyond all", (store) => ids(store, { text: "a", limit: 20_000 }), "invalid_argument", /limit/],
  [
    "other dimensions",
    (store) => store.create("c", { dimensions: 3 }, call),
    "failed_precondition",
    /2 dimensions, not 3/,
  ],
  ["negative dimensions", (store) => store.create("n", { dimensions: -1 }, call), "invalid_argument", /dimensions/],
])("refuses %s", async (_name, run, code, message) => {
  await using store = await filled(openEmbeddedStore());
  const error = await failure(run(store));
  expect(error.code).toBe(code);
  expect(error.message).toMatch(message);
  expect(await ids(store, { text: "lease" })).toHaveLength(2);
});

test("a question of 10 MB is answered by its beginning", async () => {
  await using store = await filled(openEmbeddedStore());
  expect(await ids(store, { text: `delayed ${"x ".repeat(5_000_000)}` })).toEqual(["retry"]);
});

test("without dimensions a collection is searched by words only", async () => {
  await using store = openEmbeddedStore();
  await store.create("c", { dimensions: 0 }, call);
  await store.upsert("c", [passage("a", "words")], call);
  expect(await ids(store, { text: "words" })).toEqual(["a"]);
  expect(await failure(ids(store, { vector: vector(1) }))).toMatchObject({ code: "invalid_argument" });
});

test("ends at once when the signal has aborted or the deadline passed, and changes nothing", async () => {
  await using store = await filled(openEmbeddedStore({ path: join(folder, "store") }));
  expect(await failure(store.delete("c", ["lease"], { signal: AbortSignal.abort() }))).toMatchObject({
    code: "canceled",
  });
  expect(await failure(store.drop("c", { ...call, deadline: Date.now() - 1 }))).toMatchObject({
    code: "deadline_exceeded",
  });
  expect(await ids(store, { text: "lease" })).toHaveLength(2);
});

test("another store reads what was flushed, and within a second what was flushed later", async () => {
  const path = join(folder, "deep", "store");
  await using writer = await filled(openEmbeddedStore({ path }));
  await using reader = openEmbeddedStore({ path });
  expect(await reader.has("c", call)).toBe(false);
  await writer.flush(call);
  await expect.poll(async () => reader.has("c", call), { timeout: 5_000 }).toBe(true);
  expect(await ids(reader, { vector: vector(1, 0.1) })).toEqual(["lease", "both", "retry"]);
  expect(await reader.list("c", "a.md", call)).toEqual([{ id: "lease", position: 3 }]);
  await writer.upsert("c", [passage("new", "newer", { vector: vector(-1, 0) })], call);
  expect(await ids(reader, { text: "newer" })).toEqual([]);
  await writer.flush(call);
  await expect.poll(async () => ids(reader, { text: "newer" }), { timeout: 5_000 }).toEqual(["new"]);
  expect(await readdir(join(folder, "deep"))).toEqual(["store"]);
});

test("the end of a store flushes it; a flush without a change writes nothing", async () => {
  const path = join(folder, "store");
  {
    await using store = await filled(openEmbeddedStore({ path }));
    expect(await store.has("c", call)).toBe(true);
  }
  const before = await stat(path);
  await using again = openEmbeddedStore({ path });
  expect(await ids(again, { text: "delayed" })).toEqual(["retry"]);
  await again.delete("c", ["absent"], call);
  await again.retain("c", ["a.md", "b.md", ""], call);
  await again.flush(call);
  expect((await stat(path)).ino).toBe(before.ino);
});

test("what is not flushed yet is not dropped for a newer file", async () => {
  const path = join(folder, "store");
  await using first = openEmbeddedStore({ path });
  await first.create("mine", { dimensions: 0 }, call);
  await using second = await filled(openEmbeddedStore({ path }));
  await second.flush(call);
  await new Promise((resolve) => setTimeout(resolve, 600));
  expect(await first.has("mine", call)).toBe(true);
  await first.flush(call);
  expect(await first.has("mine", call)).toBe(true);
});

test("a damaged file is told and never taken for a store", async () => {
  const path = join(folder, "store");
  {
    await using store = await filled(openEmbeddedStore({ path }));
    await store.flush(call);
  }
  const whole = await readFile(path);
  const damages: [string, () => Promise<void>][] = [
    ["cut", () => truncate(path, whole.length - 5)],
    ["empty", () => writeFile(path, "")],
    [
      "flipped",
      () =>
        writeFile(
          path,
          whole.map((byte, at) => (at === 100 ? byte ^ 1 : byte)),
        ),
    ],
    ["another file", () => writeFile(path, "some text that is no store at all, and longer than a digest")],
  ];
  for (const [name, damage] of damages) {
    await writeFile(path, whole);
    await damage();
    await using store = openEmbeddedStore({ path });
    const error = await failure(store.has("c", call));
    expect([name, error.code]).toEqual([name, "data_loss"]);
    expect(error.message).toContain(path);
  }
});

test("a file that cannot be written is told by every flush and by the end of the store", async () => {
  const path = join(folder, "x".repeat(250)); // with the ending of the file beside the name is too long
  const store = openEmbeddedStore({ path });
  await store.create("c", { dimensions: 0 }, call);
  const error = await failure(store.flush(call));
  expect(error).toMatchObject({ code: "unavailable" });
  expect(error.message).toContain("cannot be written");
  expect(await store.has("c", call)).toBe(true);
  expect(await failure(store.flush(call))).toMatchObject({ code: "unavailable" });
  expect(await failure(Promise.resolve(store[Symbol.asyncDispose]()))).toMatchObject({ code: "unavailable" });
});

test("what a writer that died has left is removed later, what another writes now is not", async () => {
  const path = join(folder, "store");
  const left = `${path}.0123456789ab.tmp`;
  const fresh = `${path}.ba9876543210.tmp`;
  await writeFile(left, "half");
  await writeFile(fresh, "half");
  await utimes(left, new Date(0), new Date(0));
  await using store = await filled(openEmbeddedStore({ path }));
  await store.flush(call);
  expect((await readdir(folder)).toSorted()).toEqual(["store", "store.ba9876543210.tmp"]);
});

test("kill -9 at any moment of a flush leaves one whole state, which a reader in another process sees", async () => {
  const path = join(folder, "store");
  const dimensions = 64;
  const count = 2_000;
  let latest = -1;
  for (let round = 0; round < 8; round++) {
    const child = spawn(
      process.execPath,
      [fileURLToPath(new URL("writer.ts", import.meta.url)), path, String(dimensions), String(count)],
      { stdio: ["ignore", "pipe", "inherit"], env: { PATH: process.env["PATH"] ?? "" } },
    );
    let said = "";
    child.stdout.on("data", (data: Buffer) => void (said += data.toString()));
    await once(child.stdout, "data");
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 200));
    child.kill("SIGKILL");
    await once(child, "exit");
    const flushed = Number(said.trim().split("\n").at(-1));
    await using reader = openEmbeddedStore({ path });
    const found = await reader.search(
      { collection: "c", vector: new Float32Array(dimensions).fill(1), limit: count },
      call,
    );
    expect(found).toHaveLength(count);
    const generations = new Set(found.map((each) => each.text));
    expect(generations.size).toBe(1);
    latest = Number([...generations][0]?.replace("generation ", ""));
    // what a finished flush told is there, or what a later one put in its place before it could tell
    expect([flushed, flushed + 1]).toContain(latest);
  }
  expect(latest).toBeGreaterThanOrEqual(0);
}, 60_000);
