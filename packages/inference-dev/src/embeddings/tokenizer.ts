// WordPiece as uncased BERT models want it.
// I1: at most `maxTokens` numbers, the two marks included, however long the text is; work is bounded with it.
import { specialTokens, type Vocabulary } from "./vocabulary.ts";

export const maxTokens = 256;
/** A longer word is one unknown token. */
const maxWordLength = 100;
/** Text that can matter: every token but the marks as one longest word. */
const maxTextLength = maxTokens * (maxWordLength + 1);

// a word, or one mark, or one ideograph (which are words of their own)
const ideograph = "\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff\\u{20000}-\\u{2fa1f}";
const wordPattern = new RegExp(`[${ideograph}]|[\\p{P}$+<=>^\`|~]|[^\\s\\p{P}$+<=>^\`|~${ideograph}]+`, "gu");

/** Numbers of a text's pieces, with the marks of start and end. */
export function tokenize(text: string, vocabulary: Vocabulary): number[] {
  const clean = text
    .slice(0, maxTextLength)
    .toLowerCase()
    .normalize("NFD")
    .replaceAll(/\p{Mn}/gu, "")
    .replaceAll(/[\t\n\r\p{Zs}]/gu, " ")
    .replaceAll(/[\p{C}\uFFFD]/gu, "");
  const ids: number[] = [specialTokens.first];
  for (const [word] of clean.matchAll(wordPattern)) {
    if (ids.length >= maxTokens - 1) break;
    ids.push(...pieces(word, vocabulary));
  }
  return [...ids.slice(0, maxTokens - 1), specialTokens.last];
}

/** The longest known piece from the left, again and again; a word with an unknown rest is unknown in whole. */
function pieces(word: string, { start, inside }: Vocabulary): number[] {
  const characters = Array.from(word);
  if (characters.length > maxWordLength) return [specialTokens.unknown];
  const ids: number[] = [];
  for (let from = 0; from < characters.length;) {
    const known = from === 0 ? start : inside;
    let end = characters.length;
    let id: number | undefined;
    for (; end > from; end--) {
      id = known.get(characters.slice(from, end).join(""));
      if (id !== undefined) break;
    }
    if (id === undefined) return [specialTokens.unknown];
    ids.push(id);
    from = end;
  }
  return ids;
}
