// Makes the service's parts from its configuration. Wiring only: what is opened here is closed with the service.
import { getOption } from "@bufbuild/protobuf";
import type { Implementation, ServiceDeps } from "@pipeline/handler-base";
import type { BaseConfig } from "@pipeline/handler-base/config";
import {
  openEmbeddings,
  openLlm,
  openReranker,
  openSpeech,
  type ClientOptions,
  type Embeddings,
} from "@pipeline/handler-base/inference";
import { openMilvus } from "@pipeline/handler-base/vector";
import { ChatService, service } from "@pipeline/messages";
import type { ChatConfig } from "./config.ts";
import { chatService } from "./handler.ts";
import { createHistory } from "./history-store.ts";
import { readKnowledge, type Knowledge } from "./knowledge.ts";
import { defaultInstructions } from "./prompt.ts";
import { createRetriever } from "./retrieval.ts";

type Deps = ServiceDeps<ChatConfig & BaseConfig>;

export function openServices(deps: Deps): Implementation[] {
  const { config, log, onRequest, onClose } = deps;
  const closed = <T extends AsyncDisposable>(name: string, client: T): T => {
    onClose(name, async () => client[Symbol.asyncDispose]());
    return client;
  };
  const client = (urls: readonly string[], model: string | undefined): ClientOptions => ({
    urls,
    onRequest,
    ...(model !== undefined && { model }),
  });
  const embeddings =
    config.embeddingsUrl &&
    closed("embeddings client", openEmbeddings(client(config.embeddingsUrl, config.embeddingsModel)));
  const reranker =
    config.rerankerUrl && closed("reranker client", openReranker(client(config.rerankerUrl, config.rerankerModel)));
  const speech =
    config.enableTts && config.ttsUrl
      ? closed(
          "speech client",
          openSpeech({
            ...client(config.ttsUrl, config.ttsModel),
            ...(config.ttsVoice !== undefined && { voice: config.ttsVoice }),
          }),
        )
      : undefined;
  const llm = closed(
    "LLM client",
    openLlm({
      ...client(config.llmUrl, config.llmModel),
      ...(config.llmApiKey !== undefined && { apiKey: config.llmApiKey }),
      headerTimeoutMs: config.llmTimeout,
      firstTokenTimeoutMs: config.llmTimeout,
      idleTimeoutMs: config.llmIdleTimeout,
    }),
  );
  const limits = { turns: config.historyTurns, maxBytes: config.historyMaxBytes, ttlMs: config.historyTtl };
  return [
    chatService({
      llm,
      speech,
      retriever: createRetriever({
        knowledge: openKnowledge(deps, embeddings),
        collection: config.collection,
        embeddings,
        reranker,
        stepMs: config.retrievalTimeout,
      }),
      history: limits.turns === 0 ? undefined : createHistory(() => deps.bucket(conversations()), limits, log),
      instructions: config.systemPrompt ?? defaultInstructions,
      sourcesMaxChars: config.sourcesMaxChars,
      model: { maxTokens: config.llmMaxTokens, temperature: config.llmTemperature },
      speechMs: config.ttsTimeout,
    }),
  ];
}

/** Name of the bucket that keeps conversations, as the contract gives it. */
function conversations(): string {
  const [bucket] = getOption(ChatService, service).buckets;
  if (bucket === undefined) throw new Error("the contract gives chat-handler no bucket for conversations");
  return bucket.name;
}

/** Milvus, a folder, or none. */
function openKnowledge(deps: Deps, embeddings: Embeddings | undefined): Knowledge | undefined {
  const { config, log, signal, onRequest, onClose, check } = deps;
  if (config.milvusUrl !== undefined) {
    const { milvusToken: token } = config;
    const store = openMilvus({ url: config.milvusUrl, onRequest, ...(token !== undefined && { token }) });
    onClose("milvus client", async () => store[Symbol.asyncDispose]());
    const searchable = { store, byMeaning: true };
    return { current: () => searchable };
  }
  if (config.knowledgeFolder === undefined) return undefined;
  const knowledge = readKnowledge({
    folder: config.knowledgeFolder,
    cache: config.knowledgeCache,
    collection: config.collection,
    embeddings,
    model: config.embeddingsModel,
    signal,
    onRequest,
    log,
  });
  onClose("knowledge base", () => knowledge.close());
  check("knowledge base", knowledge.problem);
  return knowledge;
}
