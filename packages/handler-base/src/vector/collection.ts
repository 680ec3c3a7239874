// One collection of the embedded store: passages in numbered slots with both indexes over them.
// I1: a slot is in the keyword index exactly while it holds a passage, and in the vector index while that has a vector.
import { createKeywordIndex } from "./keyword-index.ts";
import { fuse, type Ranked } from "./ranking.ts";
import type { Passage, PassageInput } from "./store.ts";
import { createVectorIndex } from "./vector-index.ts";

export interface Collection {
  readonly dimensions: number;
  /** Stored passages, without their vectors. */
  readonly passages: () => PassageInput[];
  /** Vector of a passage, of length 1. */
  readonly vectorOf: (id: string) => Float32Array | undefined;
  readonly put: (passage: PassageInput) => void;
  /** False when there is no such passage. */
  readonly remove: (id: string) => boolean;
  readonly search: (query: { vector: Float32Array | undefined; text: string | undefined; limit: number }) => Passage[];
}

/** Candidates of each ranking before they are fused. */
const minCandidates = 50;

export function createCollection(dimensions: number): Collection {
  const slots: (PassageInput | undefined)[] = [];
  const slotOf = new Map<string, number>();
  const free: number[] = [];
  const keywords = createKeywordIndex();
  const vectors = createVectorIndex(dimensions);

  const remove = (id: string): boolean => {
    const slot = slotOf.get(id);
    const passage = slot === undefined ? undefined : slots[slot];
    if (slot === undefined || passage === undefined) return false;
    keywords.remove(slot, searchText(passage));
    vectors.remove(slot);
    slots[slot] = undefined;
    slotOf.delete(id);
    free.push(slot);
    return true;
  };

  return {
    dimensions,
    remove,
    passages: () => slots.filter((passage) => passage !== undefined),
    vectorOf(id) {
      const slot = slotOf.get(id);
      return slot === undefined ? undefined : vectors.get(slot);
    },
    put({ vector, ...passage }) {
      remove(passage.id);
      const slot = free.pop() ?? slots.length;
      slots[slot] = passage;
      slotOf.set(passage.id, slot);
      keywords.add(slot, searchText(passage));
      if (vector !== undefined) vectors.set(slot, vector);
    },
    search({ vector, text, limit }) {
      const candidates = Math.max(minCandidates, limit * 2);
      const byWords = text === undefined ? undefined : keywords.search(text, candidates);
      const byMeaning = vector === undefined ? undefined : vectors.search(vector, candidates);
      const ranking =
        byWords && byMeaning ? fuse([byMeaning, byWords], limit) : (byMeaning ?? byWords ?? []).slice(0, limit);
      return ranking.flatMap(({ slot, score }: Ranked): Passage[] => {
        const passage = slots[slot];
        return passage === undefined ? [] : [{ ...passage, score }];
      });
    },
  };
}

/** A passage is found by its headings as well as by its text. */
export function searchText(passage: PassageInput): string {
  return [passage.title, passage.section, passage.text].filter((part) => part !== "").join("\n");
}
