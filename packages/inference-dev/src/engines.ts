// What an engine of each role is to the HTTP server: its name, how many calls it takes at once, and one function.
// I1: an engine ends soon after its signal aborts, whatever it was doing.

export interface ChatTurn {
  readonly role: "system" | "user" | "assistant";
  readonly text: string;
}

export interface AnswerOptions {
  readonly signal: AbortSignal;
  /** Pieces that will be read at most; more need not be made. */
  readonly maxTokens: number;
}

export interface ChatEngine {
  /** Stands in the header `x-engine` and in the answer's `model`. */
  readonly name: string;
  readonly concurrency: number;
  /** Pieces of the answer, about a word each; the last turn is the question. */
  readonly answer: (turns: readonly ChatTurn[], options: AnswerOptions) => AsyncGenerator<string, void, undefined>;
}

export interface Embedded {
  /** One for each text, of length 1. */
  readonly vectors: Float32Array[];
  /** Tokens read, of all texts. */
  readonly tokens: number;
}

export interface EmbeddingEngine {
  readonly name: string;
  readonly concurrency: number;
  readonly dimensions: number;
  /** Rejects with the signal's reason when it aborts. Texts beyond the model's length are cut. */
  readonly embed: (texts: readonly string[], options: { readonly signal: AbortSignal }) => Promise<Embedded>;
}

export interface RerankEngine {
  readonly name: string;
  readonly concurrency: number;
  /** How well each document fits the query, from 0 to 1. */
  readonly score: (
    query: string,
    documents: readonly string[],
    options: { readonly signal: AbortSignal },
  ) => Promise<number[]>;
}

/** The engines of one process; a role without one is answered with 503 (embeddings) or 404 (reranker). */
export interface Engines {
  readonly chat: ChatEngine;
  readonly embeddings?: EmbeddingEngine;
  readonly reranker?: RerankEngine;
}
