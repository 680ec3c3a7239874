// How much a word tells: the place of a word in a vocabulary that is ordered by how common words are.
import { firstWord, type Vocabulary } from "../embeddings/vocabulary.ts";

/** From near 0 for the commonest words to 1 for words that no vocabulary holds. */
export type Rarity = (word: string) => number;

const unknown = 1;
const rarest = Math.log(28_500);

export function createRarity({ start }: Vocabulary): Rarity {
  const known = (word: string): number | undefined => {
    const id = start.get(word);
    if (id === undefined) return undefined;
    const place = Math.max(1, id - firstWord);
    // squared: the middle of the list is still ordinary English
    return Math.max(0.05, (Math.log(place) / rarest) ** 2 * 0.9);
  };
  return (word) => {
    if (/^\p{N}+$/u.test(word)) return 0.5;
    const found = known(word) ?? unknown;
    // "replicas" is no rarer than "replica"
    const base = word.length > 3 && word.endsWith("s") ? known(word.slice(0, -1)) : undefined;
    return Math.min(found, base ?? unknown);
  };
}
