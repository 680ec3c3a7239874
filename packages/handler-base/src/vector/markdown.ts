// Markdown as a list of blocks: just enough of it to cut a document where its author would.
// I1: no word is lost but those of front matter, comments, link targets and tags of languages; code and tables keep their lines as they are.
// I2: time grows with the length of the text, whatever stands in it: expressions with more than one repetition get short lines only.
import { inlineText, plainText } from "./markdown-inline.ts";

export type Block =
  | { readonly kind: "heading"; readonly level: number; readonly text: string }
  /** Code always has its opening and closing fence as first and last line. */
  | { readonly kind: "paragraph" | "item" | "code" | "table"; readonly text: string };

export interface MarkdownDocument {
  /** `title:` of the front matter, else the first heading of level 1. */
  readonly title: string | undefined;
  readonly blocks: readonly Block[];
}

const fence = /^\s*(`{3,}|~{3,})(.*)$/;
const headingMarks = /^ {0,3}(#{1,6})(?=\s|$)/;
const underline = /^ {0,3}(=+|-{2,})\s*$/;
const rule = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const item = /^\s*(?:[-*+]|(\d{1,9})[.)])\s+/;
const tableRule = /^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;
const reference = /^ {0,3}\[(?!\^)[^\]]{1,1000}\]:\s*\S+(?:\s+["'(].*)?$/;
const indented = /^(?: {4}|\t)/;
const quoted = /^(?: {0,3}> ?){1,8}/;
/** A longer line is text: no author writes such a table or rule. I2 */
const longestMark = 2_000;
/** Lines of a comment; what goes on beyond was never closed. I2 */
const longestComment = 1_000;

export function parseMarkdown(source: string): MarkdownDocument {
  const { title, lines } = splitFrontMatter(source.split(/\r\n|\n|\r/));
  const blocks: Block[] = [];
  let open: { kind: "paragraph" | "item"; lines: string[] } | undefined;
  let inList = false;

  const close = (): void => {
    if (open !== undefined) blocks.push({ kind: open.kind, text: inlineText(unwrap(open.lines)) });
    open = undefined;
  };
  const matches = (pattern: RegExp, line: string): boolean => line.length <= longestMark && pattern.test(line);

  for (let at = 0; at < lines.length; at++) {
    const line = withoutComments(unquote(lines, at), lines, at);
    const next = lines[at + 1] ?? "";
    const [, opening, tag = ""] = fence.exec(line) ?? [];
    const [, marks] = headingMarks.exec(line) ?? [];
    if (opening !== undefined && !(opening.startsWith("`") && tag.includes("`"))) {
      close();
      const end = endOfCode(lines, at, opening);
      const body = lines.slice(at, end);
      const closed = end > at + 1 && isClosingFence(body.at(-1) ?? "", opening);
      blocks.push({ kind: "code", text: [...body, ...(closed ? [] : [opening])].join("\n") });
      at = end - 1;
    } else if (marks !== undefined) {
      close();
      inList = false;
      blocks.push({ kind: "heading", level: marks.length, text: plainText(headingText(line)) });
    } else if (open?.kind === "paragraph" && open.lines.length === 1 && matches(underline, line)) {
      blocks.push({ kind: "heading", level: line.includes("=") ? 1 : 2, text: plainText(open.lines[0] ?? "") });
      open = undefined;
    } else if (line.trim() === "" || matches(rule, line) || (open === undefined && matches(reference, line))) {
      close();
    } else if (line.includes("|") && next.includes("|") && matches(tableRule, unquoted(next))) {
      close();
      let end = at + 2;
      while (end < lines.length && lines[end]?.trim() !== "" && lines[end]?.includes("|") === true) end++;
      blocks.push({
        kind: "table",
        text: inlineText([line, ...lines.slice(at + 1, end).map(unquoted)].join("\n")),
      });
      at = end - 1;
    } else if (startsItem(line, open?.kind)) {
      close();
      inList = true;
      open = { kind: "item", lines: [line] };
    } else if (open === undefined && !inList && indented.test(line)) {
      const end = endOfIndented(lines, at);
      blocks.push({ kind: "code", text: fenced(lines.slice(at, end)) });
      at = end - 1;
    } else {
      if (open === undefined && !/^\s/.test(line)) inList = false;
      open ??= { kind: "paragraph", lines: [] };
      open.lines.push(line);
    }
  }
  close();
  return { title: title ?? firstTitle(blocks), blocks };
}

/** The line at `at` without marks of a quotation, which go from the lines after it as well: a quotation may hold code. */
function unquote(lines: string[], at: number): string {
  for (let each = at; each < lines.length && quoted.test(lines[each] ?? ""); each++) {
    lines[each] = unquoted(lines[each] ?? "");
  }
  return lines[at] ?? "";
}

function unquoted(line: string): string {
  return line.replace(quoted, "");
}

/** The line without its comments; where one goes on, the lines up to its end are emptied. */
function withoutComments(line: string, lines: string[], at: number): string {
  const firstTick = line.indexOf("`"); // behind it may be code, where a comment is text
  let kept = "";
  let from = 0;
  for (;;) {
    const start = line.indexOf("<!--", from);
    if (start === -1 || (firstTick !== -1 && firstTick < start)) return kept + line.slice(from);
    kept += line.slice(from, start);
    const end = line.indexOf("-->", start + 4);
    if (end === -1) return emptyComment(lines, at) ? kept : kept + line.slice(start);
    from = end + 3;
  }
}

/** Empties the lines of a comment that began on line `at`; false when it never ends. */
function emptyComment(lines: string[], at: number): boolean {
  let last = at + 1;
  while (last < lines.length && last - at < longestComment && lines[last]?.includes("-->") !== true) last++;
  const ending = lines[last] ?? "";
  const end = ending.indexOf("-->");
  if (end === -1) return false;
  lines.fill("", at + 1, last);
  lines[last] = ending.slice(end + 3);
  return true;
}

function startsItem(line: string, open: "paragraph" | "item" | undefined): boolean {
  const match = item.exec(line);
  if (match === null) return false;
  // "…in\n2026. It was": within a paragraph only a list's first number starts one
  return open !== "paragraph" || match[1] === undefined || Number(match[1]) === 1;
}

function headingText(line: string): string {
  const text = line.trim().replace(/^#+/, "").trim();
  let end = text.length;
  while (text[end - 1] === "#") end--;
  return end === 0 || /\s/.test(text.charAt(end - 1)) ? text.slice(0, end).trim() : text;
}

/** Lines of a paragraph as one, because an author's line breaks are no sentence's end. */
function unwrap(lines: readonly string[]): string {
  const [first = "", ...rest] = lines;
  return [first.trimEnd(), ...rest.map((line) => line.trim())].join(" ").trim();
}

function endOfCode(lines: readonly string[], start: number, opening: string): number {
  for (let at = start + 1; at < lines.length; at++) {
    if (isClosingFence(lines[at] ?? "", opening)) return at + 1;
  }
  return lines.length;
}

function isClosingFence(line: string, opening: string): boolean {
  const marks = line.trim();
  return marks.length >= opening.length && marks === opening.charAt(0).repeat(marks.length);
}

function endOfIndented(lines: readonly string[], start: number): number {
  let end = start + 1;
  for (let at = end; at < lines.length; at++) {
    const line = lines[at] ?? "";
    if (line.trim() === "") continue;
    if (!indented.test(line)) break;
    end = at + 1;
  }
  return end;
}

function fenced(lines: readonly string[]): string {
  const body = lines.map((line) => line.replace(indented, "")).join("\n");
  const longest = Math.max(2, ...Array.from(body.matchAll(/`+/g), ([run]) => run.length));
  const marks = "`".repeat(longest + 1);
  return `${marks}\n${body}\n${marks}`;
}

function splitFrontMatter(lines: string[]): { title: string | undefined; lines: string[] } {
  lines[0] = lines[0]?.replace(/^\u{FEFF}/u, "") ?? "";
  const end = lines[0] === "---" ? lines.indexOf("---", 1) : -1;
  if (end === -1) return { title: undefined, lines };
  const line = lines.slice(1, end).find((each) => each.startsWith("title:"));
  const value = line?.slice("title:".length).trim() ?? "";
  const title = /^(["']).*\1$/.test(value) ? value.slice(1, -1) : value;
  return { title: title === "" ? undefined : title, lines: lines.slice(end + 1) };
}

function firstTitle(blocks: readonly Block[]): string | undefined {
  return blocks.find((block) => block.kind === "heading" && block.level === 1 && block.text !== "")?.text;
}
