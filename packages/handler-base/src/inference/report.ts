// What a client tells an observer about each of its calls; telemetry builds spans and metrics from it. No text of any user is in it.
import type { Code } from "../error.ts";

export type Role = "llm" | "embeddings" | "reranker" | "speech" | "vector";

/** Tokens of one call as the server counted them. */
export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly totalTokens: number;
  /** Input tokens that the server had in its prefix cache. */
  readonly cachedTokens?: number;
  readonly reasoningTokens?: number;
}

export interface RequestStart {
  readonly role: Role;
  /** What is asked: "chat", "embed", "rerank", "search", "upsert", … */
  readonly operation: string;
  readonly model: string | undefined;
  /** Headers that the caller gave to pass on (`traceparent`, …): the parent of a span made here. */
  readonly traceHeaders: Readonly<Record<string, string>>;
}

export interface RequestEnd {
  readonly outcome: "ok" | Code;
  readonly durationMs: number;
  /** Server that was asked last, without credentials; undefined if none was. */
  readonly endpoint: string | undefined;
  /** HTTP exchanges that it took. */
  readonly attempts: number;
  readonly status: number | undefined;
  /** From the start to the head of the answer. */
  readonly ttfbMs: number | undefined;
  /** From the start to the first token (language models). */
  readonly firstTokenMs: number | undefined;
  /** Model that the server says it used. */
  readonly responseModel: string | undefined;
  /** Engine that the server says it used (header `x-engine`). */
  readonly engine: string | undefined;
  readonly usage: Usage | undefined;
}

export interface RequestSpan {
  /** Headers for the model server; they replace the call's trace headers of the same name. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Called once. Must not throw. */
  readonly end: (end: RequestEnd) => void;
}

/** Called when a request begins. Returns what wants to hear its end, or nothing. Must not throw. */
export type OnRequest = (start: RequestStart) => RequestSpan | undefined;
