// Keyword index of one collection: BM25 over numbered slots.
// I1: removing a slot takes the same words out that adding it put in, so it must be given the same text.
import { best, type Ranked } from "./ranking.ts";
import { wordsOf } from "./words.ts";

const saturation = 1.2; // k1
const lengthWeight = 0.75; // b

export interface KeywordIndex {
  readonly add: (slot: number, text: string) => void;
  readonly remove: (slot: number, text: string) => void;
  /** The best slots for the words of a question; those without any of its words are not among them. */
  readonly search: (text: string, limit: number) => Ranked[];
}

export function createKeywordIndex(): KeywordIndex {
  /** Word → slot → how often. */
  const postings = new Map<string, Map<number, number>>();
  const lengths = new Map<number, number>();
  let total = 0;

  return {
    add(slot, text) {
      const words = wordsOf(text);
      lengths.set(slot, words.length);
      total += words.length;
      for (const word of words) {
        let slots = postings.get(word);
        if (slots === undefined) postings.set(word, (slots = new Map()));
        slots.set(slot, (slots.get(slot) ?? 0) + 1);
      }
    },
    remove(slot, text) {
      total -= lengths.get(slot) ?? 0;
      lengths.delete(slot);
      for (const word of new Set(wordsOf(text))) {
        const slots = postings.get(word);
        slots?.delete(slot);
        if (slots?.size === 0) postings.delete(word);
      }
    },
    search(text, limit) {
      const scores = new Map<number, number>();
      const average = total / Math.max(1, lengths.size);
      for (const word of new Set(wordsOf(text))) {
        const slots = postings.get(word);
        if (slots === undefined) continue;
        const rarity = Math.log(1 + (lengths.size - slots.size + 0.5) / (slots.size + 0.5));
        for (const [slot, count] of slots) {
          const length = (lengths.get(slot) ?? 0) / Math.max(1, average);
          const weight = (count * (saturation + 1)) / (count + saturation * (1 - lengthWeight + lengthWeight * length));
          scores.set(slot, (scores.get(slot) ?? 0) + rarity * weight);
        }
      }
      return best(scores, limit);
    },
  };
}
