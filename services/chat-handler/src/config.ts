// The environment of chat-handler: which model servers and which knowledge base it uses, and its limits.
import { defineConfig, env, type Values } from "@pipeline/handler-base/config";

const variables = {
  llmUrl: env.urls("LLM_URL", {
    aliases: ["VLLM_URL"],
    doc: "Servers of the language model (OpenAI chat API), in order of preference",
  }),
  llmModel: env.string("LLM_MODEL", { optional: true, doc: "Model that the language model's server is asked for" }),
  llmApiKey: env.secretFile("LLM_API_KEY", { optional: true, doc: "Key that it asks for" }),
  llmMaxTokens: env.int("LLM_MAX_TOKENS", {
    default: 1024,
    min: 16,
    max: 131_072,
    doc: "Tokens that one answer may have",
  }),
  llmTemperature: env.number("LLM_TEMPERATURE", {
    optional: true,
    min: 0,
    max: 2,
    doc: "Sampling temperature; without it the server's own",
  }),
  llmTimeout: env.duration("LLM_TIMEOUT", {
    default: "30s",
    min: 100,
    max: 600_000,
    doc: "Time to the first token, after which the call fails",
  }),
  llmIdleTimeout: env.duration("LLM_IDLE_TIMEOUT", {
    default: "30s",
    min: 100,
    max: 600_000,
    doc: "Silence in the middle of an answer after which the call fails",
  }),
  embeddingsUrl: env.urls("EMBEDDINGS_URL", {
    optional: true,
    doc: "Servers of the embeddings model (OpenAI or TEI); without it passages are found by words only",
  }),
  embeddingsModel: env.string("EMBEDDINGS_MODEL", { optional: true, doc: "Model that they are asked for" }),
  rerankerUrl: env.urls("RERANKER_URL", {
    optional: true,
    doc: "Servers of the reranker; without it passages are in the order of the search",
  }),
  rerankerModel: env.string("RERANKER_MODEL", { optional: true, doc: "Model that they are asked for" }),
  retrievalTimeout: env.duration("RETRIEVAL_TIMEOUT", {
    default: "5s",
    min: 50,
    max: 120_000,
    doc: "Time for each step of the retrieval (embedding, search, reranking), after which the answer goes on without it",
  }),
  enableTts: env.bool("ENABLE_TTS", { default: false, doc: "Whether answers are spoken for requests that ask for it" }),
  ttsUrl: env.urls("TTS_URL", { optional: true, doc: "Servers of the speech model (OpenAI audio API)" }),
  ttsModel: env.string("TTS_MODEL", { optional: true, doc: "Model that they are asked for" }),
  ttsVoice: env.string("TTS_VOICE", { optional: true, doc: "Voice that they are asked for" }),
  ttsTimeout: env.duration("TTS_TIMEOUT", {
    default: "30s",
    min: 100,
    max: 600_000,
    doc: "Time for speaking an answer, after which it stays text",
  }),
  milvusUrl: env.url("MILVUS_URL", {
    aliases: ["MILVUS_HOST"],
    optional: true,
    bareHost: { scheme: "http", port: 19_530 },
    doc: "Milvus (REST) that holds the knowledge base; without it one inside the process is used",
  }),
  milvusToken: env.secretFile("MILVUS_TOKEN", { optional: true, doc: "Token or `user:password` of Milvus" }),
  collection: env.string("COLLECTION_NAME", {
    default: "knowledge_base",
    doc: "Collection that is searched where a request names none",
  }),
  knowledgeFolder: env.string("KNOWLEDGE_DIR", {
    optional: true,
    doc: "Folder whose markdown files are read into the knowledge base inside the process at start",
  }),
  knowledgeCache: env.string("KNOWLEDGE_CACHE", {
    optional: true,
    doc: "File that keeps what was read, so that later starts only embed what is new",
  }),
  systemPrompt: env.string("SYSTEM_PROMPT", {
    optional: true,
    doc: "Instructions of the assistant where a request brings none, in place of the built-in ones",
  }),
  sourcesMaxChars: env.int("SOURCES_MAX_CHARS", {
    default: 24_000,
    min: 500,
    max: 1_000_000,
    doc: "Characters of all passages in one prompt; those that fit less well are left out beyond it",
  }),
  historyTurns: env.int("HISTORY_TURNS", {
    default: 10,
    min: 0,
    max: 100,
    doc: "Earlier turns of a conversation that an answer knows; 0 keeps no history",
  }),
  historyMaxBytes: env.int("HISTORY_MAX_BYTES", {
    default: 16_384,
    min: 1024,
    max: 524_288,
    doc: "Size of one conversation's history; older turns are dropped beyond it",
  }),
  historyTtl: env.duration("HISTORY_TTL", {
    default: "7d",
    min: 1000,
    max: 2_592_000_000,
    doc: "Age after which a turn is forgotten",
  }),
};

function check(config: Values<typeof variables>): string[] {
  const both = (one: unknown, other: unknown): boolean => one !== undefined && other !== undefined;
  const without = (one: unknown, other: unknown): boolean => one !== undefined && other === undefined;
  const rules: readonly (readonly [boolean, string])[] = [
    [
      config.enableTts && config.ttsUrl === undefined,
      "ENABLE_TTS needs TTS_URL: name the server that speaks or leave speech off",
    ],
    [
      both(config.milvusUrl, config.knowledgeFolder),
      "KNOWLEDGE_DIR fills the knowledge base inside the process, and MILVUS_URL names another one; keep one of them",
    ],
    [
      without(config.milvusUrl, config.embeddingsUrl),
      "MILVUS_URL needs EMBEDDINGS_URL: name the model that filled the collection",
    ],
    [without(config.milvusToken, config.milvusUrl), "MILVUS_TOKEN is of no use without MILVUS_URL"],
    [without(config.knowledgeCache, config.knowledgeFolder), "KNOWLEDGE_CACHE is of no use without KNOWLEDGE_DIR"],
    [
      !/^[A-Za-z0-9_-]{1,255}$/.test(config.collection),
      "COLLECTION_NAME: a collection's name has at most 255 letters, digits, underscores and dashes",
    ],
  ];
  return rules.filter(([broken]) => broken).map(([, problem]) => problem);
}

export type ChatConfig = Values<typeof variables>;

export const config = defineConfig(variables, { check });
