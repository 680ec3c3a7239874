// Vectors of sentences, each embedded once: the same passages are asked about again and again.
// I1: at most `kept` vectors are held; the one not used for longest goes first.
import type { EmbeddingEngine } from "../engines.ts";

export type SentenceVectors = (
  texts: readonly string[],
  options: { readonly signal: AbortSignal },
) => Promise<readonly Float32Array[]>;

const kept = 4096;

export function createSentenceVectors(engine: EmbeddingEngine): SentenceVectors {
  const vectors = new Map<string, Float32Array>();
  return async (texts, options) => {
    const missing = [...new Set(texts.filter((text) => !vectors.has(text)))];
    const made = missing.length === 0 ? [] : (await engine.embed(missing, options)).vectors;
    const fresh = new Map(missing.map((text, at) => [text, made[at]]));
    const found = texts.map((text) => {
      const vector = vectors.get(text) ?? fresh.get(text);
      if (vector === undefined) throw new Error("a sentence has no vector");
      vectors.delete(text);
      vectors.set(text, vector);
      return vector;
    });
    for (const text of vectors.keys()) {
      if (vectors.size <= kept) break; // I1
      vectors.delete(text);
    }
    return found;
  };
}

/** Cosine of two vectors of length 1. */
export function cosine(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += (a[at] ?? 0) * (b[at] ?? 0);
  return sum;
}
