// Fills a collection from documents: cut, embed what is new, store, remove what is gone.
// I1: at most one document and one batch of passages are in memory. I2: a document's new passages are stored before its stale ones go.
// I3: a passage that is stored already, at the same position, is not embedded again.
import { HandlerError } from "../error.ts";
import type { Embeddings } from "../inference/index.ts";
import type { CallOptions } from "../inference/options.ts";
import { chunkMarkdown } from "./chunk.ts";
import { searchText } from "./collection.ts";
import type { IngestDocument } from "./documents.ts";
import type { PassageInput, VectorStore } from "./store.ts";

export { readMarkdownFolder, type IngestDocument } from "./documents.ts";

export interface IngestOptions extends CallOptions {
  readonly store: VectorStore;
  /** Default none: a collection that is searched by words only (embedded store). */
  readonly embeddings?: Embeddings;
  readonly collection: string;
  /** Each `uri` once. */
  readonly documents: Iterable<IngestDocument> | AsyncIterable<IngestDocument>;
  /** Remove documents of the collection that are not among these. Default false. */
  readonly prune?: boolean;
  /** Words a passage should not exceed. Default 120. */
  readonly maxWords?: number;
  /** Passages embedded and stored at a time. Default 64. */
  readonly batchSize?: number;
  /** Called after each batch and document. */
  readonly progress?: (summary: IngestSummary) => void;
}

export interface IngestSummary {
  readonly documents: number;
  /** Passages embedded and stored. */
  readonly added: number;
  /** Passages that were there already. */
  readonly unchanged: number;
  /** Stale passages removed from documents that are still there. */
  readonly removed: number;
}

/**
 * Resolves when everything is stored and survives the process. Throws HandlerError; what was stored before stays, and another run
 * goes on from there. `failed_precondition` for `prune` without any document: an empty folder is a missing mount more often than a wish.
 */
export async function ingest(options: IngestOptions): Promise<IngestSummary> {
  const {
    store,
    embeddings,
    collection,
    documents,
    prune = false,
    maxWords,
    batchSize = 64,
    progress,
    ...call
  } = options;
  const summary = { documents: 0, added: 0, unchanged: 0, removed: 0 };
  const uris = new Set<string>();
  const pending: PassageInput[] = [];
  const stale: string[] = [];
  let exists = await store.has(collection, call);

  const flush = async (): Promise<void> => {
    const batch = pending.splice(0);
    const vectors = batch.length === 0 ? [] : await embeddings?.embed(batch.map(searchText), call);
    const passages = batch.map((passage, at): PassageInput => {
      const vector = vectors?.[at];
      return vector === undefined ? passage : { ...passage, vector };
    });
    if (passages.length > 0) {
      await store.create(collection, { dimensions: passages[0]?.vector?.length ?? 0 }, call);
      exists = true;
      await store.upsert(collection, passages, call);
    }
    const gone = stale.splice(0);
    if (gone.length > 0) await store.delete(collection, gone, call); // I2
    summary.added += passages.length;
    summary.removed += gone.length;
    progress?.({ ...summary });
  };

  for await (const { uri, text, title } of documents) {
    if (uris.has(uri)) throw new HandlerError("a document was given twice to the same ingestion", "invalid_argument");
    uris.add(uri);
    const stored = new Map(
      exists ? (await store.list(collection, uri, call)).map((each) => [each.id, each.position]) : [],
    );
    const passages = chunkMarkdown(text, {
      uri,
      ...(title !== undefined && { title }),
      ...(maxWords !== undefined && { maxWords }),
    });
    for (const passage of passages) {
      if (stored.get(passage.id) === passage.position) summary.unchanged++; // I3
      else pending.push(passage);
      stored.delete(passage.id);
      if (pending.length >= batchSize) await flush(); // I1
    }
    for (const id of stored.keys()) stale.push(id);
    if (stale.length >= batchSize) await flush(); // I1
    summary.documents++;
    progress?.({ ...summary });
  }
  await flush();
  if (prune && uris.size === 0)
    throw new HandlerError(`no document was given: nothing is removed from ${collection}`, "failed_precondition");
  if (prune && exists) await store.retain(collection, [...uris], call);
  await store.flush(call);
  return summary;
}
