// The six spellings of "which of these documents fits the query": what is asked of each server and where its scores stand.
import { isRecord, listOf, type JsonRecord } from "./json.ts";

export type RerankDialect = "cohere" | "jina" | "vllm" | "vllm-score" | "tei" | "infinity";

export interface RerankQuestion {
  readonly model: string | undefined;
  readonly query: string;
  readonly documents: readonly string[];
  /** Undefined = all. */
  readonly topN: number | undefined;
}

interface DialectRules {
  readonly path: string;
  readonly body: (question: RerankQuestion) => JsonRecord;
  /** Documents per request. */
  readonly batch: number;
}

const documents = ({ model, query, documents: list, topN }: RerankQuestion): JsonRecord => ({
  model,
  query,
  documents: list,
  ...(topN !== undefined && { top_n: topN }), // vLLM reads 0 as "all": it is never sent
});

export const rerankDialects: Readonly<Record<RerankDialect, DialectRules>> = {
  cohere: { path: "/v2/rerank", body: documents, batch: 1000 },
  jina: {
    path: "/v1/rerank",
    body: (question) => ({ ...documents(question), return_documents: false }),
    batch: 1000,
  },
  vllm: { path: "/v1/rerank", body: documents, batch: 1000 },
  "vllm-score": {
    path: "/v1/score",
    body: ({ model, query, documents: list }) => ({ model, text_1: query, text_2: list }),
    batch: 1000,
  },
  tei: {
    path: "/rerank",
    body: ({ query, documents: list }) => ({ query, texts: list, truncate: true }),
    batch: 32,
  },
  infinity: {
    path: "/rerank",
    body: (question) => ({ ...documents(question), return_documents: false }),
    batch: 1000,
  },
};

/** In which order the dialects of an unknown server are tried. vLLM's rerank is Jina's. */
export const rerankProbeOrder: readonly RerankDialect[] = ["jina", "tei", "infinity", "vllm-score", "cohere"];

export interface RawScore {
  readonly index: unknown;
  readonly score: unknown;
}

/** The scores of an answer of any dialect; undefined when there are none. */
export function readScores(answer: unknown): RawScore[] | undefined {
  const items = isRecord(answer) ? (listOf(answer["results"]) ?? listOf(answer["data"])) : listOf(answer);
  return items?.map((item) => {
    const fields = isRecord(item) ? item : {};
    return {
      index: fields["index"],
      score: "relevance_score" in fields ? fields["relevance_score"] : fields["score"],
    };
  });
}
