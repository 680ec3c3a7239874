// Vector store inside the process, for one machine: in memory, and in one file if it has a path.
// I1: the file is written by `flush` and at the end only; one process writes it, any number read it and see a new file within a second.
// I2: what is not flushed yet is never dropped for a newer file: the writer's own state wins.
// I3: nothing is changed for a call that was canceled: a method waits first, then does all its work in one go.
import { untilAborted } from "../inference/body.ts";
import type { CallOptions } from "../inference/options.ts";
import type { OnRequest } from "../inference/report.ts";
import { createWatch } from "../inference/watch.ts";
import { createCollection, type Collection } from "./collection.ts";
import { checkDimensions, checkQuery, checkVector, otherDimensions, unknownCollection } from "./query.ts";
import { observed } from "./observed.ts";
import { readSnapshot, snapshotVersion, writeSnapshot } from "./snapshot.ts";
import type { VectorStore } from "./store.ts";

export interface EmbeddedStoreOptions {
  /** File that keeps the collections. Default: memory only. */
  readonly path?: string;
  /** Told about every search. */
  readonly onRequest?: OnRequest;
}

/** How long a reader may go without looking whether the file is a new one, ms. */
const lookEveryMs = 500;

export function openEmbeddedStore({ path, onRequest }: EmbeddedStoreOptions = {}): VectorStore {
  let collections = new Map<string, Collection>();
  let version: string | undefined;
  let looked = -Infinity;
  let dirty = false;
  let busy: Promise<unknown> = Promise.resolve();

  /** Runs file work one after the other. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = busy.then(work);
    busy = mine.catch(() => undefined); // told to whoever asked for it
    return mine;
  };

  const look = async (file: string): Promise<void> => {
    if (dirty || performance.now() - looked < lookEveryMs) return; // I2
    const found = await snapshotVersion(file);
    if (found !== undefined && found !== version) {
      const read = await readSnapshot(file);
      if (dirty) return;
      collections = read;
      version = found;
    }
    looked = performance.now();
  };

  const write = async (): Promise<void> => {
    if (path === undefined) return;
    await inTurn(async () => {
      if (!dirty) return;
      dirty = false;
      try {
        version = await writeSnapshot(path, collections);
      } catch (reason) {
        dirty = true;
        throw reason;
      }
    });
  };

  /** What `work` gives, unless the call ends before; file work that has begun goes on. */
  const within = async ({ signal, deadline }: CallOptions, work: () => Promise<void>): Promise<void> => {
    using watch = createWatch({ signal, deadline, what: "the vector store" });
    watch.throwIfAborted();
    await untilAborted(work(), watch.signal);
  };
  const ready = (options: CallOptions): Promise<void> =>
    within(options, async () => {
      if (path !== undefined && !dirty && performance.now() - looked >= lookEveryMs) await inTurn(() => look(path));
    });

  const known = (name: string): Collection => {
    const collection = collections.get(name);
    if (collection === undefined) throw unknownCollection(name);
    return collection;
  };

  return {
    [Symbol.asyncDispose]: write,
    flush: (options) => within(options, write),
    async has(name, options) {
      await ready(options);
      return collections.has(name);
    },
    async create(name, { dimensions }, options) {
      checkDimensions(dimensions);
      await ready(options);
      const existing = collections.get(name)?.dimensions;
      if (existing !== undefined && existing !== dimensions) throw otherDimensions(name, existing, dimensions);
      if (existing !== undefined) return;
      collections.set(name, createCollection(dimensions));
      dirty = true;
    },
    async drop(name, options) {
      await ready(options);
      if (collections.delete(name)) dirty = true;
    },
    search: (query, options) =>
      observed(onRequest, "search", options, async () => {
        await ready(options);
        const collection = known(query.collection);
        const { vector, text } = checkQuery(query, { dimensions: collection.dimensions, keywords: true });
        return collection.search({ vector, text, limit: query.limit });
      }),
    async upsert(name, passages, options) {
      await ready(options);
      const collection = known(name);
      for (const { vector } of passages) checkVector(name, collection.dimensions, vector);
      for (const passage of passages) collection.put(passage);
      if (passages.length > 0) dirty = true;
    },
    async list(name, uri, options) {
      await ready(options);
      return known(name)
        .passages()
        .filter((passage) => passage.uri === uri)
        .map(({ id, position }) => ({ id, position }));
    },
    async delete(name, ids, options) {
      await ready(options);
      const collection = known(name);
      for (const id of ids) if (collection.remove(id)) dirty = true;
    },
    async retain(name, uris, options) {
      await ready(options);
      const collection = known(name);
      const kept = new Set(uris);
      for (const { id, uri } of collection.passages()) {
        if (!kept.has(uri ?? "") && collection.remove(id)) dirty = true;
      }
    },
  };
}
