export { openMilvus, type MilvusOptions } from "./milvus.ts";
export { openEmbeddedStore, type EmbeddedStoreOptions } from "./embedded.ts";
export { chunkMarkdown, type ChunkOptions } from "./chunk.ts";
export { ingest, readMarkdownFolder, type IngestDocument, type IngestOptions, type IngestSummary } from "./ingest.ts";
export type { Passage, PassageInput, SearchQuery, StoredPassage, VectorStore } from "./store.ts";
