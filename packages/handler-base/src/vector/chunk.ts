// Cuts a markdown document into passages that can be cited: each knows its document, its section and its place.
// I1: a passage never crosses a heading. I2: code and tables stay whole up to three times the limit, and their lines stay whole up to it.
// I3: the id comes from document, title, section and text, so that a document cut again after a change elsewhere keeps its ids.
// I4: every size is bounded, also where a text has no spaces or lines: that of a passage, of its title and of its section.
import { createHash } from "node:crypto";
import { parseMarkdown } from "./markdown.ts";
import { cutLong, join, sizeOf, split, type Text } from "./passage-text.ts";
import type { PassageInput } from "./store.ts";

export interface ChunkOptions {
  /** Title of the document. Default: its own, else the end of `uri`. */
  readonly title?: string;
  /** Where the document is. */
  readonly uri?: string;
  /** Words a passage should not exceed; 16 characters count as one word at least. Default 120. */
  readonly maxWords?: number;
}

const maxTitle = 250;
/** Of one heading within a section's path: six levels fit into 2048 bytes, which is what stores hold. */
const maxHeading = 100;

export function chunkMarkdown(source: string, options: ChunkOptions = {}): PassageInput[] {
  const { uri, maxWords = 120 } = options;
  const { title: own, blocks } = parseMarkdown(source);
  const title = shorten(options.title ?? own ?? uri?.split("/").at(-1) ?? "", maxTitle);
  const passages: PassageInput[] = [];
  const seen = new Map<string, number>();
  const headings: { level: number; text: string }[] = [];
  let section = "";
  /** Text of the section so far that is not in a passage yet. */
  let pending: Text[] = [];
  /** The last heading, as long as neither text nor a section below it followed. */
  let bare: { level: number; text: string } | undefined;

  const emit = (): void => {
    const text = join(pending);
    pending = [];
    if (text === "") return;
    const key = JSON.stringify([uri ?? "", title, section, text]);
    const count = seen.get(key) ?? 0;
    seen.set(key, count + 1);
    const id = createHash("sha256").update(`${key}${count}`).digest("base64url").slice(0, 22);
    passages.push({ id, text, title, section, position: passages.length, ...(uri !== undefined && { uri }) });
  };
  const add = (block: Text): void => {
    for (const piece of split(block, maxWords)) {
      if (pending.length > 0 && sizeOf(join([...pending, piece])) > maxWords) {
        const lead = leadIn(pending, maxWords);
        if (lead !== undefined) pending.pop();
        emit();
        if (lead !== undefined) pending.push(lead);
      }
      pending.push(piece);
    }
  };
  /** Ends the section; a heading that nothing follows is a text of its own. */
  const leave = (level: number): void => {
    if (bare !== undefined && bare.level >= level) add({ kind: "paragraph", text: bare.text });
    bare = undefined;
    emit();
  };

  for (const block of blocks) {
    if (block.kind !== "heading") {
      bare = undefined;
      add(block);
      continue;
    }
    leave(block.level);
    while ((headings.at(-1)?.level ?? 0) >= block.level) headings.pop();
    headings.push(block);
    section = pathOf(headings, own);
    if (block.text.length > maxHeading) add({ kind: "paragraph", text: block.text }); // the path has only its beginning
    else bare = block;
  }
  leave(0);
  return passages;
}

/** Headings above a passage, without the document's own title. */
function pathOf(headings: readonly { text: string }[], own: string | undefined): string {
  return headings
    .map((heading) => heading.text)
    .filter((text, at) => text !== "" && !(at === 0 && text === own))
    .map((text) => shorten(text, maxHeading))
    .join(" › ");
}

/** "as follows:" belongs to what follows, if it is short. */
function leadIn(pending: readonly Text[], maxWords: number): Text | undefined {
  const last = pending.at(-1);
  return last?.text.endsWith(":") === true && last.kind !== "code" && sizeOf(last.text) * 4 <= maxWords
    ? last
    : undefined;
}

function shorten(text: string, length: number): string {
  const [first = ""] = cutLong(text, { words: Infinity, characters: length - 1 });
  return first.length === text.length ? text : `${first}…`;
}
