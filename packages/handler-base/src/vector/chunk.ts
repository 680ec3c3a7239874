// Cuts a markdown document into passages that can be cited: each knows its document, its section and its place.
// I1: a passage never crosses a heading. I2: code and tables stay whole up to three times the limit, and lines stay whole always.
// I3: the id comes from document, section and text, so that a document cut again after a change elsewhere keeps its ids.
import { createHash } from "node:crypto";
import { parseMarkdown, type Block } from "./markdown.ts";
import type { PassageInput } from "./store.ts";

export interface ChunkOptions {
  /** Title of the document. Default: its own, else the end of `uri`. */
  readonly title?: string;
  /** Where the document is. */
  readonly uri?: string;
  /** Words a passage should not exceed. Default 120. */
  readonly maxWords?: number;
}

type Text = Exclude<Block, { kind: "heading" }>;

const sentenceEnd = /(?<=[.!?…]["')\]]?)\s+(?=[\p{Lu}\p{N}"'(`*[])/u;

export function chunkMarkdown(source: string, options: ChunkOptions = {}): PassageInput[] {
  const { uri, maxWords = 120 } = options;
  const { title: own, blocks } = parseMarkdown(source);
  const title = options.title ?? own ?? uri?.split("/").at(-1) ?? "";
  const passages: PassageInput[] = [];
  const seen = new Map<string, number>();
  const headings: { level: number; text: string }[] = [];
  let pending: Text[] = [];

  const section = (): string =>
    headings
      .map((heading) => heading.text)
      .filter((text, at) => text !== "" && !(at === 0 && text === own))
      .join(" › ");
  const emit = (pieces: readonly Text[]): void => {
    const text = join(pieces);
    if (text === "") return;
    const key = JSON.stringify([uri ?? title, section(), text]);
    const count = seen.get(key) ?? 0;
    seen.set(key, count + 1);
    const id = createHash("sha256").update(`${key}${count}`).digest("base64url").slice(0, 22);
    passages.push({
      id,
      text,
      title,
      section: section(),
      position: passages.length,
      ...(uri !== undefined && { uri }),
    });
  };
  const flush = (): void => {
    emit(pending);
    pending = [];
  };

  for (const block of blocks) {
    if (block.kind === "heading") {
      flush();
      while ((headings.at(-1)?.level ?? 0) >= block.level) headings.pop();
      headings.push({ level: block.level, text: block.text });
      continue;
    }
    for (const piece of split(block, maxWords)) {
      if (pending.length > 0 && words(join([...pending, piece])) > maxWords) {
        // "as follows:" belongs to what follows
        const lead = pending.length > 1 && pending.at(-1)?.text.endsWith(":") === true ? pending.pop() : undefined;
        flush();
        if (lead !== undefined) pending.push(lead);
      }
      pending.push(piece);
    }
  }
  flush();
  return passages;
}

function words(text: string): number {
  return text.match(/\S+/g)?.length ?? 0;
}

function join(pieces: readonly Text[]): string {
  let text = "";
  for (const [at, piece] of pieces.entries()) {
    const together = piece.kind === "item" && pieces[at - 1]?.kind === "item";
    text += at === 0 ? piece.text : `${together ? "\n" : "\n\n"}${piece.text}`;
  }
  return text.trim();
}

/** A block in pieces of at most `maxWords`, cut between sentences or lines. I2 */
function split(block: Text, maxWords: number): Text[] {
  const whole = block.kind === "code" || block.kind === "table" ? maxWords * 3 : maxWords;
  if (words(block.text) <= whole) return [block];
  const { kind } = block;
  if (kind === "code") {
    const [first = "", ...rest] = block.text.split("\n");
    const last = rest.pop() ?? "";
    return pack(rest, maxWords, "\n").map((text) => ({ kind, text: `${first}\n${text}\n${last}` }));
  }
  if (kind === "table") {
    const [head = "", rule = "", ...rows] = block.text.split("\n");
    return pack(rows, maxWords, "\n").map((text) => ({ kind, text: `${head}\n${rule}\n${text}` }));
  }
  const sentences = block.text.split(sentenceEnd).flatMap((each) => cutLong(each, maxWords));
  return pack(sentences, maxWords, " ").map((text) => ({ kind, text }));
}

/** A sentence that alone is too long, in pieces. */
function cutLong(sentence: string, maxWords: number): string[] {
  const all = sentence.split(/\s+/);
  const pieces: string[] = [];
  for (let from = 0; from < all.length; from += maxWords) pieces.push(all.slice(from, from + maxWords).join(" "));
  return pieces;
}

/** Joins neighbours as long as they stay within the limit. */
function pack(parts: readonly string[], maxWords: number, separator: string): string[] {
  const packed: string[] = [];
  let size = 0;
  for (const part of parts) {
    const own = words(part);
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
