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

/** What a document keeps of its score when its best sentence stands in a better one, too: it adds little. */
const echo = 0.7;
/** How much the order counts in which the documents came: a search that found them knew something, too. */
const prior = { weight: 0.2, halfAt: 5 };
const weights = { said: 0.25, around: 0.3, close: 0.45 };

export function createReranker({ rarity, vectors }: RerankerOptions): RerankEngine {
  return {
    name: vectors === undefined ? "sentences" : "sentences+minilm",
    concurrency: 4,
    async score(query, documents, { signal }) {
      const sources = documents.map((text, at) => ({ number: at + 1, heading: "", text }));
      const evidence = await findEvidence(query, questionTerms(query, rarity), sources, {
        ...(vectors && { vectors }),
        signal,
      });
      const best = new Map<number, { text: string; score: number }>();
      for (const { source, text, said, around, close = 0 } of evidence) {
        const score = weights.said * said + weights.around * around + weights.close * Math.max(0, close);
        if (score > (best.get(source.number)?.score ?? 0)) best.set(source.number, { text, score });
      }
      const heard = new Set<string>();
      const scores = documents.map(() => 0);
      for (const [number, { text, score }] of [...best].toSorted(([, a], [, b]) => b.score - a.score)) {
        const own = heard.has(text) ? score * echo : score;
        scores[number - 1] = (1 - prior.weight) * own + prior.weight / (1 + (number - 1) / prior.halfAt);
        heard.add(text);
      }
      return scores;
    },
  };
}
