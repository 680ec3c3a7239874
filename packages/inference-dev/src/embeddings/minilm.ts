// all-MiniLM-L6-v2 (int8) in a worker thread of its own.
//
// I1  One text at a time is in the worker, and calls take turns text by text: a question does not wait behind a whole ingest.
// I2  The rest of an aborted call is never given to the worker.
// I3  When the worker dies, every call that waits and every later one rejects.
import { Worker } from "node:worker_threads";
import type { EmbeddingEngine } from "../engines.ts";
import { tokenize } from "./tokenizer.ts";
import type { Vocabulary } from "./vocabulary.ts";
import type { WorkerAnswer } from "./worker.ts";

export interface MiniLm extends EmbeddingEngine, AsyncDisposable {
  /** Texts that were embedded so far. */
  readonly done: () => number;
}

interface Job {
  readonly texts: readonly number[][];
  readonly vectors: Float32Array[];
  readonly signal: AbortSignal;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** Resolves when the model is loaded; rejects when it cannot be. */
export async function openMiniLm(model: string, vocabulary: Vocabulary): Promise<MiniLm> {
  const worker = new Worker(new URL("worker.ts", import.meta.url), { workerData: { model }, env: {} });
  const jobs: Job[] = [];
  let current: Job | undefined;
  let dead: Error | undefined;
  let done = 0;

  const loaded = Promise.withResolvers<void>();
  const die = (reason: Error) => {
    dead ??= reason;
    loaded.reject(dead);
    for (const job of [...(current ? [current] : []), ...jobs.splice(0)]) job.reject(dead); // I3
    current = undefined;
  };

  const pump = () => {
    while (current === undefined) {
      const job = jobs.shift();
      if (job === undefined) return;
      const text = job.texts[job.vectors.length];
      if (job.signal.aborted || text === undefined) continue; // I2
      current = job;
      worker.postMessage(text, []);
    }
  };

  worker.on("message", (answer: WorkerAnswer) => {
    if ("ready" in answer) {
      loaded.resolve();
      return;
    }
    const job = current;
    current = undefined;
    if (job !== undefined) {
      if ("failed" in answer) job.reject(new Error("the embedding model failed on a text"));
      else {
        done++;
        job.vectors.push(answer.vector);
        if (job.vectors.length === job.texts.length) job.resolve();
        else jobs.push(job); // I1
      }
    }
    pump();
  });
  worker.on("error", (error) => die(error instanceof Error ? error : new Error(String(error))));
  worker.on("exit", () => die(new Error("the thread of the embedding model ended")));
  await loaded.promise;

  return {
    name: "all-MiniLM-L6-v2-int8",
    dimensions: 384,
    concurrency: 16,
    done: () => done,
    async embed(texts, { signal }) {
      signal.throwIfAborted();
      if (dead !== undefined) throw dead;
      const tokens = texts.map((text) => tokenize(text, vocabulary));
      const vectors: Float32Array[] = [];
      if (texts.length > 0) {
        await new Promise<void>((resolve, reject) => {
          const abort = () => reject(signal.reason as unknown);
          signal.addEventListener("abort", abort, { once: true });
          const settle = () => signal.removeEventListener("abort", abort);
          jobs.push({
            texts: tokens,
            vectors,
            signal,
            resolve: () => (settle(), resolve()),
            reject: (reason) => (settle(), reject(reason)),
          });
          pump();
        });
      }
      return { vectors, tokens: tokens.reduce((sum, ids) => sum + ids.length, 0) };
    },
    async [Symbol.asyncDispose]() {
      die(new Error("the embedding model was closed"));
      await worker.terminate();
    },
  };
}
