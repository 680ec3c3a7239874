export { openLlm, type Llm, type LlmOptions } from "./llm.ts";
export type { ChatCompletionRequest, ChatMessage, LlmDelta, ToolCallFragment } from "./chat.ts";
export { openEmbeddings, type Embeddings, type EmbeddingsDialect, type EmbeddingsOptions } from "./embeddings.ts";
export {
  openReranker,
  type RankedDocument,
  type RerankDialect,
  type Reranker,
  type RerankerOptions,
  type RerankOptions,
} from "./reranker.ts";
export { openSpeech, type Speech, type SpeechOptions } from "./speech.ts";
export type { CallOptions, ClientOptions } from "./options.ts";
export type { OnRequest, RequestEnd, RequestSpan, RequestStart, Role, Usage } from "./report.ts";
