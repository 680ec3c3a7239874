// What every vector store must do, as cases that run against each of them.
import { expect } from "vitest";
import { HandlerError } from "../../src/error.ts";
import { ingest, type IngestDocument, type PassageInput, type VectorStore } from "../../src/vector/index.ts";
import type { Embeddings } from "../../src/inference/index.ts";

export interface StoreCase {
  readonly name: string;
  /** `collection` is a name of this case's own that does not exist yet. */
  readonly run: (store: VectorStore, collection: string) => Promise<void>;
}

const call = { signal: new AbortController().signal };
const vector = (...values: number[]) => new Float32Array(values);
const passage = (id: string, text: string, values: number[], more: Partial<PassageInput> = {}): PassageInput => ({
  id,
  text,
  title: "Guide",
  section: "Section",
  position: 0,
  uri: "a.md",
  vector: new Float32Array(values),
  ...more,
});
const passages = [
  passage("lease", "The lease is renewed every second.", [1, 0, 0, 0], { position: 1, section: "Claims › Lease" }),
  passage("retry", "A delayed retry holds no slot.", [0, 1, 0, 0], { uri: "b.md" }),
  {
    id: "both",
    text: "A lease ends before its retry.",
    title: "Guide",
    section: "",
    position: 0,
    vector: vector(0.7, 0.7, 0, 0),
  },
];

async function filled(store: VectorStore, collection: string): Promise<void> {
  await store.create(collection, { dimensions: 4 }, call);
  await store.upsert(collection, passages, call);
}

async function codeOf(run: Promise<unknown>): Promise<string> {
  const reason: unknown = await run.then(
    () => "nothing",
    (error: unknown) => error,
  );
  return reason instanceof HandlerError ? reason.code : String(reason);
}

/** A stand-in for a model: a word is a place in the vector. */
const lexicon = ["lease", "retry", "server", "voice"];
const embeddings: Embeddings = {
  embed: async (texts) =>
    texts.map((text) => new Float32Array(lexicon.map((word) => (text.toLowerCase().includes(word) ? 1 : 0.01)))),
  [Symbol.asyncDispose]: async () => {},
};

export const storeCases: readonly StoreCase[] = [
  {
    name: "finds by vector, with everything that a citation needs",
    async run(store, collection) {
      await filled(store, collection);
      const found = await store.search({ collection, vector: vector(1, 0.1, 0, 0), limit: 3 }, call);
      expect(found.map((each) => each.id)).toEqual(["lease", "both", "retry"]);
      expect(found[0]).toEqual({
        id: "lease",
        text: "The lease is renewed every second.",
        title: "Guide",
        section: "Claims › Lease",
        position: 1,
        uri: "a.md",
        score: expect.closeTo(0.995, 2) as number,
      });
      expect(found[1]).not.toHaveProperty("uri");
      expect(await store.search({ collection, vector: vector(1, 0, 0, 0), limit: 1 }, call)).toHaveLength(1);
    },
  },
  {
    name: "finds by words of text, section and title, the best first",
    async run(store, collection) {
      await filled(store, collection);
      const ids = async (text: string) =>
        (await store.search({ collection, text, limit: 3 }, call)).map((each) => each.id);
      expect(await ids("delayed")).toEqual(["retry"]);
      expect(await ids("claims")).toEqual(["lease"]);
      expect((await ids("guide")).toSorted()).toEqual(["both", "lease", "retry"]);
      expect(await ids("absent")).toEqual([]);
      const scores = (await store.search({ collection, text: "lease renewed", limit: 3 }, call)).map(
        (each) => each.score,
      );
      expect(scores).toEqual(scores.toSorted((a, b) => b - a));
      expect(scores.at(-1)).toBeGreaterThan(0);
    },
  },
  {
    name: "fuses both rankings by rank",
    async run(store, collection) {
      await filled(store, collection);
      const found = await store.search({ collection, vector: vector(1, 0.5, 0, 0), text: "retry", limit: 3 }, call);
      expect(found.map((each) => each.id)).toEqual(["both", "retry", "lease"]);
    },
  },
  {
    name: "replaces by id, lists by document, deletes by id, keeps by document",
    async run(store, collection) {
      await filled(store, collection);
      await store.upsert(collection, [passage("retry", "Replaced.", [1, 0, 0, 0], { uri: "b.md", position: 7 })], call);
      expect(await store.list(collection, "b.md", call)).toEqual([{ id: "retry", position: 7 }]);
      await store.delete(collection, ["lease", "absent"], call);
      expect(await store.list(collection, "a.md", call)).toEqual([]);
      await store.retain(collection, ["b.md"], call);
      const found = await store.search({ collection, vector: vector(1, 0, 0, 0), limit: 5 }, call);
      expect(found.map((each) => each.text)).toEqual(["Replaced."]);
      await store.retain(collection, [], call);
      expect(await store.search({ collection, vector: vector(1, 0, 0, 0), limit: 5 }, call)).toEqual([]);
    },
  },
  {
    name: "takes whatever a document is called as its name and no more",
    async run(store, collection) {
      await filled(store, collection);
      for (const evil of ['a.md" or uri != "', "a.md' or 1 == 1 or '", "{uri}", "a.md\\", "%", "ü 語 \u{1F600}"]) {
        expect(await store.list(collection, evil, call)).toEqual([]);
        await store.delete(collection, [evil], call);
        await store.upsert(collection, [passage("evil", "x", [0, 0, 1, 0], { uri: evil })], call);
        expect(await store.list(collection, evil, call)).toEqual([{ id: "evil", position: 0 }]);
        await store.delete(collection, ["evil"], call);
      }
      expect(await store.search({ collection, vector: vector(1, 1, 1, 1), limit: 9 }, call)).toHaveLength(3);
    },
  },
  {
    name: "says which collection there is not, and what does not fit one that there is",
    async run(store, collection) {
      expect(await store.has(collection, call)).toBe(false);
      const question = vector(1, 0, 0, 0);
      expect(await codeOf(store.search({ collection, vector: question, limit: 1 }, call))).toBe("not_found");
      expect(await codeOf(store.upsert(collection, passages, call))).toBe("not_found");
      expect(await codeOf(store.list(collection, "a.md", call))).toBe("not_found");
      expect(await codeOf(store.delete(collection, ["a"], call))).toBe("not_found");
      expect(await codeOf(store.retain(collection, ["a"], call))).toBe("not_found");
      await store.drop(collection, call);
      await filled(store, collection);
      expect(await store.has(collection, call)).toBe(true);
      await store.create(collection, { dimensions: 4 }, call);
      expect(await codeOf(store.create(collection, { dimensions: 5 }, call))).toBe("failed_precondition");
      expect(await codeOf(store.search({ collection, vector: vector(1), limit: 1 }, call))).toBe("invalid_argument");
      expect(await codeOf(store.upsert(collection, [passage("x", "x", [1])], call))).toBe("invalid_argument");
      expect(await codeOf(store.search({ collection, vector: question, limit: 0 }, call))).toBe("invalid_argument");
      expect(await codeOf(store.search({ collection, limit: 1 }, call))).toBe("invalid_argument");
      await store.drop(collection, call);
      expect(await codeOf(store.search({ collection, vector: question, limit: 1 }, call))).toBe("not_found");
    },
  },
  {
    name: "can be made anew with another shape",
    async run(store, collection) {
      await filled(store, collection);
      await store.drop(collection, call);
      await store.create(collection, { dimensions: 2 }, call);
      await store.upsert(collection, [passage("a", "text", [1, 0])], call);
      expect(await store.search({ collection, vector: vector(1, 0), limit: 1 }, call)).toHaveLength(1);
    },
  },
  {
    name: "is filled from documents, again only with what has changed",
    async run(store, collection) {
      const run = (documents: IngestDocument[], prune = false) =>
        ingest({ store, embeddings, collection, documents, prune, ...call });
      const guide = "# Guide\n\n## Claims\n\nA lease is renewed.\n\n## Delay\n\nA retry is delayed.";
      const voice = { uri: "voice.md", text: "# Voice\n\nA voice is heard." };
      expect(await run([{ uri: "guide.md", text: guide }, voice])).toMatchObject({ added: 3, unchanged: 0 });
      expect(await run([{ uri: "guide.md", text: guide }, voice])).toMatchObject({ added: 0, unchanged: 3 });
      const changed = guide.replace("is delayed", "waits for the server");
      expect(await run([{ uri: "guide.md", text: changed }], true)).toMatchObject({
        added: 1,
        unchanged: 1,
        removed: 1,
      });
      const found = await store.search(
        { collection, text: "retry server", vector: vector(0, 1, 1, 0), limit: 9 },
        call,
      );
      expect(found).toHaveLength(2);
      expect(found[0]).toMatchObject({ title: "Guide", section: "Delay", position: 1, uri: "guide.md" });
    },
  },
];
