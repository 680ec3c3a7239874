// Passages for a question: embed, search by meaning and by words, put in order. What is not available is left out and told.
//
// I1  A part that fails costs the answer that part and no more, and at most its own time; only an abort of the call and a collection that
//     the caller named and that does not exist end it.
import { HandlerError, type Logger } from "@pipeline/handler-base";
import type { CallOptions, Embeddings, Reranker } from "@pipeline/handler-base/inference";
import type { Passage } from "@pipeline/handler-base/vector";
import { degraded } from "./degraded.ts";
import type { Knowledge, Searchable } from "./knowledge.ts";
import { heading } from "./prompt.ts";

export interface RetrieverOptions {
  /** Undefined: the installation has none. */
  readonly knowledge: Knowledge | undefined;
  /** Collection of questions that name none. */
  readonly collection: string;
  readonly embeddings: Embeddings | undefined;
  readonly reranker: Reranker | undefined;
  /** Time for each step, ms. */
  readonly stepMs: number;
}

export interface Lookup {
  readonly text: string;
  /** "" = the configured one. */
  readonly collection: string;
  readonly topK: number;
  /** Undefined: where a reranker is configured. */
  readonly rerank: boolean | undefined;
}

export interface Found {
  /** The best first. */
  readonly passages: readonly Passage[];
  /** Whether the knowledge base was searched. */
  readonly searched: boolean;
  readonly degraded: readonly string[];
}

export interface Retriever {
  /** Throws `not_found` for an unknown collection that the lookup names, and the signal's reason. */
  readonly find: (lookup: Lookup, call: CallOptions, log: Logger) => Promise<Found>;
}

/** Passages that a reranker chooses from, for each that is wanted. */
const candidatesPerPassage = 4;

export function createRetriever(options: RetrieverOptions): Retriever {
  const { knowledge, embeddings, reranker, stepMs } = options;

  return {
    async find({ text, collection, topK, rerank }, call, log) {
      const notes: string[] = [];
      const step = <T>(name: string, note: string, work: (own: CallOptions) => Promise<T>): Promise<T | undefined> =>
        attempt(work, { call, stepMs, onFailure: (error) => told(notes, note, log, name, error) });
      const nothing = (note: string): Found => ({ passages: [], searched: false, degraded: [...notes, note] });

      if (knowledge === undefined) {
        if (collection !== "") throw unknown(collection);
        return nothing(degraded.noKnowledge);
      }
      const base = knowledge.current();
      if (base === undefined) return nothing(degraded.reading);
      const byMeaning = base.byMeaning ? embeddings : undefined;
      if (embeddings !== undefined && !base.byMeaning) notes.push(degraded.embeddings);
      const [vector] =
        (byMeaning && (await step("embed", degraded.embeddings, (own) => byMeaning.embed([text], own)))) ?? [];

      const wanted = rerank !== false && reranker !== undefined ? reranker : undefined;
      if (rerank === true && reranker === undefined) notes.push(degraded.noReranker);
      const limit = wanted === undefined ? topK : topK * candidatesPerPassage;
      const found = await search(
        base,
        { collection: collection || options.collection, named: collection !== "", text, vector, limit },
        { call, stepMs, log, notes },
      );
      if (found === undefined) return { passages: [], searched: false, degraded: notes };

      const order =
        wanted && found.length > 1
          ? await step("rerank", degraded.reranker, (own) =>
              wanted.rerank(text, found.map(readable), { ...own, topN: topK }),
            )
          : undefined;
      const passages =
        order?.flatMap(({ index, score }) => {
          const passage = found[index];
          return passage === undefined ? [] : [{ ...passage, score }];
        }) ?? found;
      return { passages: passages.slice(0, topK), searched: true, degraded: notes };
    },
  };
}

interface Search {
  readonly collection: string;
  /** Whether the caller named the collection. */
  readonly named: boolean;
  readonly text: string;
  readonly vector: Float32Array | undefined;
  readonly limit: number;
}

interface StepContext {
  readonly call: CallOptions;
  readonly stepMs: number;
  readonly log: Logger;
  readonly notes: string[];
}

/** Undefined where the knowledge base cannot be searched. */
async function search(
  { store }: Searchable,
  { collection, named, text, vector, limit }: Search,
  { call, stepMs, log, notes }: StepContext,
): Promise<readonly Passage[] | undefined> {
  let failure: HandlerError | undefined;
  const run = (given: Float32Array | undefined): Promise<readonly Passage[] | undefined> =>
    attempt((own) => store.search({ collection, text, limit, ...(given && { vector: given }) }, own), {
      call,
      stepMs,
      onFailure: (error) => (failure = error),
    });
  const found = await run(vector);
  if (found !== undefined || failure === undefined) return found;
  if (failure.code === "not_found") {
    if (named) throw unknown(collection);
    told(notes, degraded.collection, log, "search", failure);
    return undefined;
  }
  // A vector that the collection does not take: it was filled with another model. Words still find something.
  if (vector !== undefined && !failure.retryable) {
    const byWords = await run(undefined);
    if (byWords !== undefined) {
      told(notes, degraded.vectors, log, "search", failure);
      return byWords;
    }
  }
  told(notes, degraded.knowledge, log, "search", failure);
  return undefined;
}

/** What the work gives, or undefined after a failure that is not the call's own end. I1 */
async function attempt<T>(
  work: (own: CallOptions) => Promise<T>,
  options: { call: CallOptions; stepMs: number; onFailure: (error: HandlerError) => void },
): Promise<T | undefined> {
  const { call, stepMs, onFailure } = options;
  try {
    return await work({ ...call, deadline: Math.min(call.deadline ?? Infinity, Date.now() + stepMs) });
  } catch (reason) {
    if (call.signal.aborted) throw HandlerError.from(call.signal.reason);
    onFailure(HandlerError.from(reason));
    return undefined;
  }
}

function told(notes: string[], note: string, log: Logger, step: string, error: HandlerError): void {
  if (!notes.includes(note)) notes.push(note);
  log.warn({ step, code: error.code, reason: error.message }, "the answer goes on without a part of the service");
}

function readable(passage: Passage): string {
  return `${heading(passage)}\n${passage.text}`;
}

function unknown(collection: string): HandlerError {
  return new HandlerError(`the collection ${collection} does not exist`, "not_found");
}
