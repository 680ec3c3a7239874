// Pieces of a document's text that fit into a passage, and how they are put together.
// I1: a piece of prose is at most the limit; one of code or of a table at most three times the limit.
import type { Block } from "./markdown.ts";

export type Text = Exclude<Block, { kind: "heading" }>;

/** So many characters count as a word, however few spaces there are: long identifiers, links, languages without spaces. */
const charactersPerWord = 16;
const sentenceEnd = /(?<=[.!?…]["')\]]?)\s+(?=[\p{Lu}\p{N}"'(`*[])/u;

/** Words of a text. */
export function sizeOf(text: string): number {
  let words = 0;
  for (const _ of text.matchAll(/\S+/g)) words++;
  return Math.max(words, Math.ceil(text.length / charactersPerWord));
}

/** The pieces as one text: list items below each other, everything else parted by an empty line. */
export function join(pieces: readonly Text[]): string {
  let text = "";
  for (const [at, piece] of pieces.entries()) {
    const together = piece.kind === "item" && pieces[at - 1]?.kind === "item";
    text += at === 0 ? piece.text : `${together ? "\n" : "\n\n"}${piece.text}`;
  }
  return text.trim();
}

/** A block in pieces, cut between sentences or lines. I1 */
export function split(block: Text, maxWords: number): Text[] {
  const { kind, text } = block;
  const whole = kind === "code" || kind === "table" ? maxWords * 3 : maxWords;
  if (sizeOf(text) <= whole) return [block];
  const lines = text.split("\n");
  const limit = { words: maxWords, characters: maxWords * charactersPerWord };
  if (kind === "code") {
    const first = lines[0] ?? "";
    const last = lines.at(-1) ?? "";
    const body = pack(cutLines(lines.slice(1, -1), limit), maxWords, "\n");
    return framed(kind, body, { before: `${first}\n`, after: `\n${last}`, maxWords });
  }
  if (kind === "table") {
    const head = lines.slice(0, 2).join("\n");
    // A head that leaves no room for rows is a text like another.
    if (sizeOf(head) > maxWords)
      return pack(cutLines(lines, limit), maxWords, "\n").map((each) => ({ kind, text: each }));
    const rows = pack(cutLines(lines.slice(2), limit), maxWords, "\n");
    return framed(kind, rows, { before: `${head}\n`, after: "", maxWords });
  }
  const sentences = text.split(sentenceEnd).flatMap((each) => cutLong(each, limit));
  return pack(sentences, maxWords, " ").map((each) => ({ kind, text: each }));
}

function framed(
  kind: Text["kind"],
  bodies: readonly string[],
  { before, after, maxWords }: { before: string; after: string; maxWords: number },
): Text[] {
  // The tag of a fence may be a novel; then the pieces go without it.
  if (sizeOf(before + after) > maxWords) return [before.trim(), ...bodies].map((text) => ({ kind: "paragraph", text }));
  return bodies.map((text) => ({ kind, text: `${before}${text}${after}` }));
}

function cutLines(lines: readonly string[], limit: { words: number; characters: number }): string[] {
  return lines.flatMap((line) => (sizeOf(line) <= limit.words ? [line] : cutLong(line, limit)));
}

/** A text in pieces of at most so many words and characters, cut between words where there are any. */
export function cutLong(text: string, limit: { words: number; characters: number }): string[] {
  const pieces: string[] = [];
  let from = 0;
  let words = 0;
  let end = 0;
  for (const { index, 0: word } of text.matchAll(/\S+/g)) {
    if (words > 0 && (words >= limit.words || index + word.length - from > limit.characters)) {
      pieces.push(text.slice(from, end));
      from = index;
      words = 0;
    }
    end = index + word.length;
    words++;
    while (end - from > limit.characters) {
      const cut = from + limit.characters;
      const at = isLowSurrogate(text.charCodeAt(cut)) ? cut - 1 : cut;
      pieces.push(text.slice(from, at));
      from = at;
    }
  }
  if (end > from) pieces.push(text.slice(from, end));
  return pieces;
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}

/** Joins neighbours as long as they stay within the limit. */
function pack(parts: readonly string[], maxWords: number, separator: string): string[] {
  const packed: string[] = [];
  let size = 0;
  for (const part of parts) {
    const own = sizeOf(part);
    const last = packed.length - 1;
    if (last >= 0 && size + own <= maxWords) {
      packed[last] = `${packed[last] ?? ""}${separator}${part}`;
      size += own;
    } else {
      packed.push(part);
      size = own;
    }
  }
  return packed;
}
