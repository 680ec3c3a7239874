// Cuts a passage into what can stand in an answer by itself: sentences, list items, table rows, lines of code.
// I1: a unit's text is readable without its neighbours' markup: no heading marks, bullets, pipes or fences.

export interface Unit {
  /** As it stands in an answer. */
  readonly text: string;
  readonly kind: "sentence" | "item" | "row" | "code";
  /** Which block of the passage it is from. */
  readonly block: number;
  /** What introduces it ("as follows:"), or names its columns; belongs to its meaning, not to its text. */
  readonly lead: string;
  /** What a row of a table is one of: the head of its first column. "" for what is no row. */
  readonly instance: string;
}

// before a capital, a number, a quote or code; not after "e.g." or an initial
const sentenceEnd = /(?<=[.!?…]["')\]`]?)(?<!\b(?:e\.g|i\.e|etc|vs|cf|no|[A-Z])\.)\s+(?=[\p{Lu}\p{N}"'(`*[_])/u;
const tableRule = /^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;
const itemStart = /^\s*(?:[-*+]|\d{1,9}[.)])\s+/;
const citation = /\[\d+\]/;
const fence = /^\s*(?:`{3,}|~{3,})/;
/** A longer unit is cut: it is no sentence any more. */
const maxLength = 700;

/** Markup that a reader would stumble over; code spans stay, they mark what to type. */
export function clean(text: string): string {
  return text
    .replaceAll(/!?\[([^\]]*)\]\([^()\s]*(?:\s+"[^"]*")?\)/g, "$1")
    .replaceAll(/\*\*|__(?=\S)|(?<=\S)__/g, "")
    .replaceAll(/(?<![\w*`])\*(?=\S)|(?<=\S)\*(?![\w*`])/g, "")
    .replaceAll(/^#{1,6}\s+/gm, "")
    .replaceAll(/\s+/g, " ")
    .trim()
    .slice(0, maxLength);
}

export function unitsOf(passage: string): Unit[] {
  const units: Unit[] = [];
  const lines = passage.split("\n");
  let lead = "";
  let block = 0;
  const add = (text: string, kind: Unit["kind"], led: string, instance = "") => {
    // a citation inside an example would pass for one of the answer's own
    if (/[\p{L}\p{N}]/u.test(text) && !citation.test(text)) units.push({ text, kind, block, lead: led, instance });
  };
  for (let at = 0; at < lines.length;) {
    const line = lines[at] ?? "";
    if (line.trim() === "") {
      at++;
    } else if (fence.test(line)) {
      const end = closing(lines, at);
      const code = lines
        .slice(at + 1, end)
        .map((each) => each.trim())
        .filter((each) => each !== "");
      // A block with citations shows an answer: its question and sentences are nobody's evidence.
      const evidence = code.some((each) => citation.test(each)) ? [] : code.slice(0, 40);
      for (const each of evidence) add(`\`${each.replaceAll("`", "'").slice(0, maxLength)}\``, "code", lead);
      at = end + 1;
      block++;
      lead = "";
    } else if (line.includes("|") && tableRule.test(lines[at + 1] ?? "")) {
      const head = cells(line);
      for (at += 2; lines[at]?.includes("|") === true; at++)
        add(row(cells(lines[at] ?? "")), "row", `${lead} ${head.join(", ")}`, head[0]);
      block++;
      lead = "";
    } else if (itemStart.test(line)) {
      const text = [line.replace(itemStart, "")];
      for (at++; at < lines.length && isContinuation(lines[at] ?? ""); at++) text.push(lines[at] ?? "");
      for (const sentence of sentences(text.join(" "))) add(sentence, "item", lead);
      block++;
    } else {
      const text = [line];
      for (at++; at < lines.length && isContinuation(lines[at] ?? ""); at++) text.push(lines[at] ?? "");
      const cut = sentences(text.join(" "));
      for (const sentence of cut) add(sentence, "sentence", "");
      const last = cut.at(-1) ?? "";
      lead = last.endsWith(":") ? last : "";
      block++;
    }
  }
  return units;
}

function isContinuation(line: string): boolean {
  return line.trim() !== "" && !itemStart.test(line) && !fence.test(line);
}

function sentences(text: string): string[] {
  return text.split(sentenceEnd).map(clean);
}

function closing(lines: readonly string[], start: number): number {
  const end = lines.findIndex((line, at) => at > start && fence.test(line));
  return end === -1 ? lines.length : end;
}

function cells(line: string): string[] {
  return line
    .trim()
    .replace(/^\||\|$/g, "")
    .split(/(?<!\\)\|/)
    .map((cell) => clean(cell.replaceAll("\\|", "|")));
}

/** "first: second; third.", without a number in front that only counts the rows. */
function row(all: readonly string[]): string {
  const [first = "", ...rest] = /^\d+$/.test(all[0] ?? "") && all.length > 2 ? all.slice(1) : all;
  const values = rest.filter((cell) => cell !== "").join("; ");
  const text = first === "" || values === "" ? first + values : `${first}: ${values}`;
  return /[.!?]$/.test(text) || text === "" ? text : `${text}.`;
}
