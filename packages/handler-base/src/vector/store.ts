// What every vector store does, whatever is behind it.
// I1: an unknown collection is `not_found` with its name, in every method but `create`, `has` and `drop`.
import type { CallOptions } from "../inference/options.ts";

/** A piece of a document as it is stored. */
export interface PassageInput {
  /** The same text at the same place of the same document has the same id. */
  readonly id: string;
  readonly text: string;
  /** Title of the document. */
  readonly title: string;
  /** Headings above the passage, " › " between them; "" above the first. */
  readonly section: string;
  /** Number of the passage in its document, from 0. */
  readonly position: number;
  /** Where the document is. */
  readonly uri?: string;
  /** Embedding of the text; absent in a collection of 0 dimensions. */
  readonly vector?: Float32Array;
}

/** A passage that was found. */
export interface Passage {
  readonly id: string;
  readonly text: string;
  readonly title: string;
  readonly section: string;
  readonly position: number;
  readonly uri?: string;
  /** Higher fits better; comparable within one answer only. */
  readonly score: number;
}

export interface SearchQuery {
  readonly collection: string;
  /** Embedding of the question. */
  readonly vector?: Float32Array;
  /** Words of the question. With `vector`, both rankings are fused where the collection has a keyword index. */
  readonly text?: string;
  /** 1 to 16384. */
  readonly limit: number;
}

export interface StoredPassage {
  readonly id: string;
  readonly position: number;
}

/** Every method ends at once when the signal aborts, and throws HandlerError. */
export interface VectorStore extends AsyncDisposable {
  /** The best first. */
  readonly search: (query: SearchQuery, options: CallOptions) => Promise<Passage[]>;
  /** Stores passages, replacing those of the same id. */
  readonly upsert: (collection: string, passages: readonly PassageInput[], options: CallOptions) => Promise<void>;
  /**
   * Makes a collection unless it exists; 0 dimensions means keywords only. `failed_precondition` when it exists with another
   * number of dimensions.
   */
  readonly create: (collection: string, shape: { dimensions: number }, options: CallOptions) => Promise<void>;
  readonly has: (collection: string, options: CallOptions) => Promise<boolean>;
  /** Removes a collection; nothing happens when it does not exist. */
  readonly drop: (collection: string, options: CallOptions) => Promise<void>;
  /** What is stored of one document. */
  readonly list: (collection: string, uri: string, options: CallOptions) => Promise<StoredPassage[]>;
  readonly delete: (collection: string, ids: readonly string[], options: CallOptions) => Promise<void>;
  /** Removes every passage whose document is not among these. */
  readonly retain: (collection: string, uris: readonly string[], options: CallOptions) => Promise<void>;
  /** Resolves when what was stored before survives the end of the process. */
  readonly flush: (options: CallOptions) => Promise<void>;
}

/** Most that one search may ask for (the limit of Milvus). */
export const maxLimit = 16_384;
/** Most numbers of a vector (the limit of Milvus). */
export const maxDimensions = 32_768;
