// Asks as chat-handler does, with its own retriever and prompt, without NATS in between.
// I1: a part that fails ends the bench: an answer that went on without it would measure something else.
import type { Logger } from "@pipeline/handler-base";
import { openEmbeddings, openLlm, openReranker } from "@pipeline/handler-base/inference";
import {
  ingest,
  openEmbeddedStore,
  readMarkdownFolder,
  type IngestSummary,
  type Passage,
} from "@pipeline/handler-base/vector";
import type { RunningInference } from "@pipeline/inference-dev";
import { defaultInstructions, fitting, messagesOf } from "../../services/chat-handler/src/prompt.ts";
import { createRetriever } from "../../services/chat-handler/src/retrieval.ts";

export interface Asker extends AsyncDisposable {
  readonly indexed: IngestSummary;
  readonly ask: (question: string) => Promise<{ readonly answer: string; readonly passages: readonly Passage[] }>;
}

export interface AskerOptions {
  readonly inference: RunningInference;
  /** Folder with the documents. */
  readonly documents: string;
  readonly rerank: boolean;
  readonly signal: AbortSignal;
}

/** chat-handler's defaults. */
const topK = 5;
const sourcesMaxChars = 24_000;
const collection = "knowledge_base";
const patienceMs = 600_000;

/** Resolves when the documents are indexed. */
export async function openAsker({ inference, documents, rerank, signal }: AskerOptions): Promise<Asker> {
  const urls = [inference.url];
  await using opened = new AsyncDisposableStack();
  const llm = opened.use(
    openLlm({
      urls,
      headerTimeoutMs: patienceMs,
      firstTokenTimeoutMs: patienceMs,
      idleTimeoutMs: patienceMs,
    }),
  );
  const has = ({ engines }: RunningInference, role: "embeddings" | "reranker") => engines[role] !== "none";
  const embeddings = has(inference, "embeddings") ? opened.use(openEmbeddings({ urls })) : undefined;
  const reranker = rerank && has(inference, "reranker") ? opened.use(openReranker({ urls })) : undefined;
  const store = opened.use(openEmbeddedStore());
  const indexed = await ingest({
    store,
    collection,
    documents: readMarkdownFolder(documents, { signal }),
    signal,
    ...(embeddings && { embeddings }),
  });
  const retriever = createRetriever({
    knowledge: { current: () => ({ store, byMeaning: embeddings !== undefined }) },
    collection,
    embeddings,
    reranker,
    stepMs: 60_000,
  });
  const all = opened.move();
  return {
    indexed,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
    async ask(question) {
      const lookup = { text: question, collection: "", topK, rerank: undefined };
      const { passages: found } = await retriever.find(lookup, { signal }, strict);
      const passages = fitting(found, sourcesMaxChars);
      const messages = messagesOf({
        instructions: defaultInstructions,
        language: undefined,
        ground: passages.length > 0 ? "passages" : "nothing",
        passages,
        history: [],
        question,
      });
      let answer = "";
      for await (const delta of llm.stream({ messages }, { signal })) if ("text" in delta) answer += delta.text;
      return { answer, passages };
    },
  };
}

function fail(fields: Record<string, unknown>, message: string): never {
  throw new Error(`${message}: ${JSON.stringify(fields)}`);
}

/** I1 */
const strict: Logger = { debug: () => undefined, info: () => undefined, warn: fail, error: fail, child: () => strict };
