// Ranks documents by their best sentence: what of the query it says, and how close it is in meaning.
// A whole passage hides the one sentence that answers; measured in this package's README.
import type { SentenceVectors } from "../embeddings/sentences.ts";
import type { RerankEngine } from "../engines.ts";
import { findEvidence, questionTerms } from "./evidence.ts";
import type { Rarity } from "./rarity.ts";

export interface RerankerOptions {
  readonly rarity: Rarity;
  readonly vectors?: SentenceVectors;
}

const weights = { said: 0.25, around: 0.3, close: 0.45 };

export function createReranker({ rarity, vectors }: RerankerOptions): RerankEngine {
  return {
    name: vectors === undefined ? "sentences" : "sentences+minilm",
    concurrency: 4,
    async score(query, documents, { signal }) {
      const sources = documents.map((text, at) => ({ number: at + 1, heading: "", text }));
      const scores = documents.map(() => 0);
      const evidence = await findEvidence(query, questionTerms(query, rarity), sources, {
        ...(vectors && { vectors }),
        signal,
      });
      for (const { source, said, around, close = 0 } of evidence) {
        const score = weights.said * said + weights.around * around + weights.close * Math.max(0, close);
        scores[source.number - 1] = Math.max(scores[source.number - 1] ?? 0, score);
      }
      return scores;
    },
  };
}
