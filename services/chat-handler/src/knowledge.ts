// The knowledge base that answers come from: Milvus, or the markdown files of a folder, read into the process in the background.
//
// I1  What is searched is whole: a folder is searched when all of it has been read, never half of it.
// I2  While the embeddings model is away, the folder is searched by words; when it is back, by meaning as well.
// I3  Vectors of one model never meet those of another: the store says whose they are.
import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { HandlerError, type Logger } from "@pipeline/handler-base";
import type { CallOptions, Embeddings, OnRequest } from "@pipeline/handler-base/inference";
import { ingest, openEmbeddedStore, readMarkdownFolder, type VectorStore } from "@pipeline/handler-base/vector";

export interface Searchable {
  readonly store: VectorStore;
  /** Whether it holds vectors. */
  readonly byMeaning: boolean;
}

export interface Knowledge {
  /** What can be searched now; undefined until something can. */
  readonly current: () => Searchable | undefined;
}

export interface FolderOptions {
  readonly folder: string;
  /** File that keeps what was read. */
  readonly cache: string | undefined;
  readonly collection: string;
  readonly embeddings: Embeddings | undefined;
  /** Name of the embeddings model. */
  readonly model: string | undefined;
  /** Ends the reading. */
  readonly signal: AbortSignal;
  readonly onRequest?: OnRequest;
  readonly log: Logger;
}

export interface FolderKnowledge extends Knowledge {
  /** Why it cannot be searched yet; undefined when it can. */
  readonly problem: () => string | undefined;
  /** Resolves when nothing is read any more and what was read is kept. The signal must have aborted, or it may take long. */
  readonly close: () => Promise<void>;
}

const firstPauseMs = 2_000;
const longestPauseMs = 60_000;

/** Begins to read a folder. Goes on until everything is read with the embeddings model, or the signal aborts. */
export function readKnowledge(options: FolderOptions): FolderKnowledge {
  let current: Searchable | undefined;
  let problem = "it is being read";
  const store = openEmbeddedStore({
    ...observedBy(options),
    ...(options.cache !== undefined && { path: options.cache }),
  });
  const ended = readUntilDone(options, store, {
    show: (searchable) => (current = searchable),
    fail: (message) => (problem = message),
  });
  return {
    current: () => current,
    problem: () => (current === undefined ? problem : undefined),
    async close() {
      await ended;
      await store[Symbol.asyncDispose]();
    },
  };
}

interface Progress {
  readonly show: (searchable: Searchable) => void;
  readonly fail: (message: string) => void;
}

async function readUntilDone(options: FolderOptions, store: VectorStore, { show, fail }: Progress): Promise<void> {
  const { cache, embeddings, signal, log } = options;
  let pauseMs = firstPauseMs;
  let byWords = false;
  while (!signal.aborted) {
    try {
      await readFolder(options, store);
      show({ store, byMeaning: embeddings !== undefined });
      return;
    } catch (reason) {
      if (signal.aborted) return;
      const error = HandlerError.from(reason);
      const again = { code: error.code, reason: error.message, again_in_ms: pauseMs };
      log.warn(again, "the knowledge base could not be read whole");
      fail(error.message);
      if (error.code === "data_loss" && cache !== undefined) {
        await rm(cache, { force: true }); // it holds only what can be read again
        continue;
      }
    }
    if (embeddings !== undefined && !byWords) byWords = await readWords(options, show);
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined); // the loop sees the abort
    pauseMs = Math.min(pauseMs * 2, longestPauseMs);
  }
}

/** I2. A store of its own, so that the one with vectors keeps what it has. */
async function readWords(options: FolderOptions, show: Progress["show"]): Promise<boolean> {
  const store = openEmbeddedStore(observedBy(options));
  try {
    await readFolder({ ...options, embeddings: undefined }, store);
    show({ store, byMeaning: false });
    return true;
  } catch {
    return false; // the folder itself cannot be read: the reading with vectors has told
  }
}

async function readFolder(options: FolderOptions, store: VectorStore): Promise<void> {
  const { folder, collection, embeddings, signal, log } = options;
  const call = { signal };
  const began = performance.now();
  const owner = await ownerOf(options);
  if (!(await belongsTo(store, owner, call))) await beginAnew(store, collection, owner, call); // I3
  const summary = await ingest({
    store,
    collection,
    documents: readMarkdownFolder(folder, call),
    prune: true,
    signal,
    ...(embeddings !== undefined && { embeddings }),
  });
  log.info({ ...summary, ms: Math.round(performance.now() - began) }, "knowledge base read");
}

/** Whose vectors these options give. The length is asked for: a server may have changed its model without a change of name. */
async function ownerOf({ embeddings, model, signal }: FolderOptions): Promise<string> {
  if (embeddings === undefined) return "words only";
  const [vector] = await embeddings.embed(["how long is a vector"], { signal });
  return `${vector?.length ?? 0} dimensions of ${model ?? "the server's own model"}`;
}

/** Holds one entry: whose vectors the store has. No request can name it: it is no collection's name. */
const ownerCollection = "owner of the vectors";

async function belongsTo(store: VectorStore, owner: string, call: CallOptions): Promise<boolean> {
  return (await store.has(ownerCollection, call)) && (await store.list(ownerCollection, owner, call)).length > 0;
}

async function beginAnew(store: VectorStore, collection: string, owner: string, call: CallOptions): Promise<void> {
  await store.drop(collection, call);
  await store.drop(ownerCollection, call);
  await store.create(ownerCollection, { dimensions: 0 }, call);
  const id = createHash("sha256").update(owner).digest("base64url");
  await store.upsert(ownerCollection, [{ id, text: "", title: "", section: "", position: 0, uri: owner }], call);
}

const observedBy = ({ onRequest }: FolderOptions) => (onRequest === undefined ? {} : { onRequest });
