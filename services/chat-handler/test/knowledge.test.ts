// The knowledge base of a folder: read once, kept in a file, read anew where that is due.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openEmbeddings } from "@pipeline/handler-base/inference";
import { startModelServer, type ModelServer } from "@pipeline/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { readKnowledge, type FolderKnowledge } from "../src/knowledge.ts";

let folder: string;
let cache: string;
let server: ModelServer;

beforeAll(async () => {
  server = await startModelServer();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "knowledge-test-"));
  cache = join(folder, ".cache", "vectors.bin");
  server.fail("embeddings", undefined);
  await writeFile(join(folder, "one.md"), "# One\n\nApples are red.\n");
  await writeFile(join(folder, "two.md"), "# Two\n\nPlums are blue.\n");
  return () => rm(folder, { recursive: true, force: true });
});

async function untilRead({ problem }: FolderKnowledge): Promise<void> {
  for (let tries = 0; problem() !== undefined; tries += 1) {
    if (tries === 400) throw new Error(`not read: ${problem()}`);
    await sleep(50);
  }
}

interface Opened extends AsyncDisposable {
  readonly knowledge: FolderKnowledge;
  /** Titles found for a text, by words. */
  readonly titles: (text: string) => Promise<string[]>;
}

async function open(options: { model?: string; from?: string; wait?: boolean } = {}): Promise<Opened> {
  const { model, from = folder, wait = true } = options;
  const stop = new AbortController();
  const embeddings = openEmbeddings({ urls: [server.url] });
  const log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log };
  const knowledge = readKnowledge({
    folder: from,
    cache,
    collection: "kb",
    embeddings,
    model,
    signal: stop.signal,
    log,
  });
  if (wait) await untilRead(knowledge);
  return {
    knowledge,
    async titles(text) {
      const found = await knowledge
        .current()
        ?.store.search({ collection: "kb", text, limit: 5 }, { signal: stop.signal });
      return (found ?? []).map(({ title }) => title);
    },
    async [Symbol.asyncDispose]() {
      stop.abort(new Error("stopped"));
      await knowledge.close();
      await embeddings[Symbol.asyncDispose]();
    },
  };
}

/** Texts that were embedded while this ran. */
async function embedded(run: () => Promise<void>): Promise<string[]> {
  const before = server.of("embeddings").length;
  await run();
  return server
    .of("embeddings")
    .slice(before)
    .flatMap(({ body }) => (Array.isArray(body["input"]) ? body["input"].map(String) : []))
    .filter((text) => text.includes("\n")); // of documents: each has its title in a line of its own
}

const once = async (options?: { model?: string }): Promise<void> => {
  await using opened = await open(options);
  expect(opened.knowledge.current()?.byMeaning).toBe(true);
};

describe("a folder", () => {
  test("is embedded once: the next start embeds what is new and forgets what is gone", async () => {
    expect(await embedded(once)).toHaveLength(2);
    expect(await embedded(once)).toEqual([]);
    await writeFile(join(folder, "three.md"), "# Three\n\nPears are green.\n");
    await rm(join(folder, "two.md"));
    expect(await embedded(once)).toEqual([expect.stringContaining("Pears")]);
    await using opened = await open();
    expect(await opened.titles("pears")).toEqual(["Three"]);
    expect(await opened.titles("plums")).toEqual([]);
  });

  test("is embedded anew for another model, and again for the first one", async () => {
    for (const model of ["a", "b", "a"]) expect(await embedded(() => once({ model }))).toHaveLength(2);
    expect(await embedded(() => once({ model: "a" }))).toEqual([]);
  });

  test("is read anew when the file that keeps it is damaged", async () => {
    await once();
    await writeFile(cache, "damaged");
    expect(await embedded(once)).toHaveLength(2);
  });

  test("is searched by words while the embeddings model is away, and what was embedded before is kept", async () => {
    await once();
    server.fail("embeddings", { kind: "status", status: 500 });
    await writeFile(join(folder, "three.md"), "# Three\n\nPears are green.\n");
    {
      await using opened = await open();
      expect(opened.knowledge.current()?.byMeaning).toBe(false);
      expect(await opened.titles("pears")).toEqual(["Three"]);
    }
    server.fail("embeddings", undefined);
    expect(await embedded(once)).toEqual([expect.stringContaining("Pears")]);
  });

  test.each([
    ["does not exist", "none", /none cannot be read/],
    ["is empty, as one that is not mounted yet", ".", /no document/],
  ])("that %s is told, and the stop does not wait for it", async (_what, name, problem) => {
    await rm(join(folder, "one.md"));
    await rm(join(folder, "two.md"));
    await using opened = await open({ from: join(folder, name), wait: false });
    await expect.poll(opened.knowledge.problem, { timeout: 20_000 }).toMatch(problem);
    expect(opened.knowledge.current()).toBeUndefined();
  });
});
