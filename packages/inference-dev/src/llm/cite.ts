// Gives each sentence of a model's answer the number of the source that supports it, or drops it.
// Small models cite at random, so their own numbers are taken out first.
//
// I1  A sentence leaves with the number of a source that says most of its words, or does not leave.
// I2  A number that no source holds is made up: such a sentence does not leave.
import { cosine, type SentenceVectors } from "../embeddings/sentences.ts";
import type { Source } from "../answers/conversation.ts";
import { questionTerms } from "../answers/evidence.ts";
import type { Rarity } from "../answers/rarity.ts";
import { stemsOf, support } from "../answers/terms.ts";
import { unitsOf } from "../answers/units.ts";

export interface CiteOptions {
  readonly rarity: Rarity;
  readonly vectors?: SentenceVectors;
  readonly signal: AbortSignal;
}

/** Shares of a sentence's words, by weight, that a source must say: by itself, or when the meaning of one of its sentences is close. */
const enough = { words: 0.6, wordsWhenClose: 0.4, close: 0.6 };

/** The sentence with its source's number; undefined when nothing supports it. */
export async function cite(
  sentence: string,
  sources: readonly Source[],
  { rarity, vectors, signal }: CiteOptions,
): Promise<string | undefined> {
  const text = sentence
    .replaceAll(/\s*\[\d+(?:\s*,\s*\d+)*\]/g, "")
    .replaceAll(/\s+/g, " ")
    .trim();
  const terms = questionTerms(text, rarity);
  const total = terms.reduce((sum, { weight }) => sum + weight, 0);
  if (total === 0) return undefined;
  const numbers = [...text.matchAll(/\d+(?:\.\d+)?/g)].map(([number]) => number);
  let best: { source: Source; score: number } | undefined;
  for (const source of sources) {
    if (!numbers.every((number) => source.text.includes(number))) continue; // I2
    const stems = stemsOf(`${source.heading} ${source.text}`);
    const words = terms.reduce((sum, { stem, weight }) => sum + weight * support(stem, stems), 0) / total;
    if (words < enough.wordsWhenClose) continue;
    const close = vectors === undefined ? 0 : await closest(text, source, { vectors, signal });
    if (words < enough.words && close < enough.close) continue;
    const score = words + close;
    if (best === undefined || score > best.score) best = { source, score };
  }
  return best && `${text} [${best.source.number}]`;
}

async function closest(
  text: string,
  source: Source,
  { vectors, signal }: { vectors: SentenceVectors; signal: AbortSignal },
): Promise<number> {
  const [own, ...units] = await vectors([text, ...unitsOf(source.text).map((unit) => unit.text)], { signal });
  return Math.max(0, ...units.map((unit) => (own === undefined ? 0 : cosine(own, unit))));
}
