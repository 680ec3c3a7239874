// The knowledge base that answers come from: Milvus, or the markdown files of a folder, read into the process in the background.
//
// I1  What is searched is whole: a folder is searched when all of it has been read, never half of it.
// I2  While the embeddings model is away, the folder is searched by words; when it is back, by meaning as well.
// I3  Vectors of one model never meet those of another: the file that keeps them names its model.
import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { HandlerError, type Logger } from "@pipeline/handler-base";
import type { Embeddings } from "@pipeline/handler-base/inference";
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
  readonly log: Logger;
}

export interface FolderKnowledge extends Knowledge {
  /** Why it cannot be searched yet; undefined when it can. */
  readonly problem: () => string | undefined;
  /** Resolves when nothing is read any more; never rejects. */
  readonly ended: Promise<void>;
}

const firstPauseMs = 2_000;
const longestPauseMs = 60_000;

/** Begins to read a folder. Goes on until everything is read with the embeddings model, or the signal aborts. */
export function readKnowledge(options: FolderOptions): FolderKnowledge {
  let current: Searchable | undefined;
  let problem: string | undefined = "the knowledge base is being read";
  const show = (searchable: Searchable): void => {
    current = searchable;
    problem = undefined;
  };
  return {
    current: () => current,
    problem: () => problem,
    ended: readUntilDone(options, show, (message) => {
      if (current === undefined) problem = message;
    }),
  };
}

async function readUntilDone(
  options: FolderOptions,
  show: (searchable: Searchable) => void,
  fail: (message: string) => void,
): Promise<void> {
  const { cache, embeddings, signal, log } = options;
  const full = openEmbeddedStore(cache === undefined ? {} : { path: cache });
  let pauseMs = firstPauseMs;
  let byWords = false;
  while (!signal.aborted) {
    try {
      await readFolder(options, full);
      show({ store: full, byMeaning: embeddings !== undefined });
      return;
    } catch (reason) {
      if (signal.aborted) return;
      const error = HandlerError.from(reason);
      log.warn(
        { code: error.code, reason: error.message, again_in_ms: pauseMs },
        "the knowledge base could not be read whole",
      );
      fail(`the knowledge base cannot be read: ${error.message}`);
      if (error.code === "data_loss" && cache !== undefined) await rm(cache, { force: true }); // only what can be read again
    }
    if (embeddings !== undefined && !byWords) byWords = await readWords(options, show);
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined); // the loop sees the abort
    pauseMs = Math.min(pauseMs * 2, longestPauseMs);
  }
}

/** I2. A store of its own, so that the one with vectors keeps what it has. */
async function readWords(options: FolderOptions, show: (searchable: Searchable) => void): Promise<boolean> {
  const store = openEmbeddedStore();
  try {
    await readFolder({ ...options, embeddings: undefined, model: undefined }, store);
    show({ store, byMeaning: false });
    return true;
  } catch {
    return false; // the folder itself cannot be read: that is told by the reading with vectors
  }
}

async function readFolder(
  { folder, collection, embeddings, model, signal, log }: FolderOptions,
  store: VectorStore,
): Promise<void> {
  const call = { signal };
  const began = performance.now();
  const marker = `model-${createHash("sha256")
    .update(embeddings === undefined ? "none" : (model ?? ""))
    .digest("hex")
    .slice(0, 16)}`;
  if (!(await store.has(marker, call))) await store.drop(collection, call); // I3
  const read = (): ReturnType<typeof ingest> =>
    ingest({
      store,
      collection,
      documents: readMarkdownFolder(folder, call),
      prune: true,
      signal,
      ...(embeddings !== undefined && { embeddings }),
    });
  let summary;
  try {
    summary = await read();
  } catch (reason) {
    if (HandlerError.from(reason).code !== "failed_precondition") throw reason;
    // The model gives vectors of another length than before.
    await store.drop(collection, call);
    summary = await read();
  }
  if (!(await store.has(collection, call))) await store.create(collection, { dimensions: 0 }, call); // the folder is empty
  await store.create(marker, { dimensions: 0 }, call);
  await store.flush(call);
  log.info({ ...summary, ms: Math.round(performance.now() - began) }, "knowledge read");
}
