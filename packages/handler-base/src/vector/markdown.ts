// Markdown as a list of blocks: just enough of it to cut a document where its author would.
// I1: no text is lost but front matter, comments and rules; code and tables keep their lines as they are.

export type Block =
  | { readonly kind: "heading"; readonly level: number; readonly text: string }
  | { readonly kind: "paragraph" | "item" | "code" | "table"; readonly text: string };

export interface MarkdownDocument {
  /** `title:` of the front matter, else the first heading of level 1. */
  readonly title: string | undefined;
  readonly blocks: readonly Block[];
}

const fence = /^\s*(`{3,}|~{3,})/;
const heading = /^ {0,3}(#{1,6})(?:\s+(.*?))?\s*#*\s*$/;
const underline = /^ {0,3}(=+|-{2,})\s*$/;
const rule = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const item = /^\s*(?:[-*+]|\d{1,9}[.)])\s+/;
const tableRule = /^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;
const reference = /^ {0,3}\[[^\]]+\]:\s*\S+/;

export function parseMarkdown(source: string): MarkdownDocument {
  const { title, lines } = splitFrontMatter(source.replaceAll(/<!--[\s\S]*?-->/g, "").split(/\r\n|\n|\r/));
  const blocks: Block[] = [];
  let open: { kind: "paragraph" | "item"; lines: string[] } | undefined;

  const close = (): void => {
    if (open !== undefined) blocks.push({ kind: open.kind, text: plainLinks(unwrap(open.lines)) });
    open = undefined;
  };

  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    const next = lines[at + 1] ?? "";
    const opening = fence.exec(line)?.[1];
    if (opening !== undefined) {
      close();
      const end = endOfCode(lines, at, opening);
      blocks.push({ kind: "code", text: lines.slice(at, end).join("\n") });
      at = end - 1;
    } else if (heading.test(line)) {
      close();
      const [, marks = "", text = ""] = heading.exec(line) ?? [];
      blocks.push({ kind: "heading", level: marks.length, text: plainText(text) });
    } else if (open?.kind === "paragraph" && open.lines.length === 1 && underline.test(line)) {
      blocks.push({ kind: "heading", level: line.includes("=") ? 1 : 2, text: plainText(open.lines[0] ?? "") });
      open = undefined;
    } else if (line.trim() === "" || rule.test(line) || (open === undefined && reference.test(line))) {
      close();
    } else if (line.includes("|") && next.includes("|") && tableRule.test(next)) {
      close();
      let end = at + 2;
      while (end < lines.length && lines[end]?.trim() !== "" && lines[end]?.includes("|") === true) end++;
      blocks.push({ kind: "table", text: plainLinks(lines.slice(at, end).join("\n")) });
      at = end - 1;
    } else if (item.test(line)) {
      close();
      open = { kind: "item", lines: [line] };
    } else {
      open ??= { kind: "paragraph", lines: [] };
      open.lines.push(line);
    }
  }
  close();
  return { title: title ?? firstTitle(blocks), blocks };
}

/** Text without the marks of emphasis, code and links. */
export function plainText(text: string): string {
  return plainLinks(text)
    .replaceAll(/`+|\*\*|__|\*(?=\S)|(?<=\S)\*/g, "")
    .trim();
}

function plainLinks(text: string): string {
  return text.replaceAll(/!?\[([^\]]*)\]\([^()\s]*(?:\([^()]*\)[^()\s]*)*(?:\s+"[^"]*")?\)/g, "$1");
}

/** Lines of a paragraph as one, because an author's line breaks are no sentence's end. */
function unwrap(lines: readonly string[]): string {
  const [first = "", ...rest] = lines;
  return [first.trimEnd(), ...rest.map((line) => line.trim())].join(" ").trim();
}

function endOfCode(lines: readonly string[], start: number, opening: string): number {
  for (let at = start + 1; at < lines.length; at++) {
    const line = lines[at]?.trim() ?? "";
    if (line.length >= opening.length && line === opening.charAt(0).repeat(line.length)) return at + 1;
  }
  return lines.length;
}

function splitFrontMatter(lines: string[]): { title: string | undefined; lines: string[] } {
  const end = lines[0]?.replace(/^\uFEFF/, "") === "---" ? lines.indexOf("---", 1) : -1;
  if (end === -1) return { title: undefined, lines };
  const title = lines
    .slice(1, end)
    .map((line) => /^title:\s*(["']?)(.*?)\1\s*$/.exec(line)?.[2])
    .find((found) => found !== undefined && found !== "");
  return { title, lines: lines.slice(end + 1) };
}

function firstTitle(blocks: readonly Block[]): string | undefined {
  return blocks.find((block) => block.kind === "heading" && block.level === 1 && block.text !== "")?.text;
}
