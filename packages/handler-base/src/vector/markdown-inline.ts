// Marks within a line of markdown: which of them a reader of plain text can do without.
// I1: code spans stay as they are, in headings without their backticks: "ai.chat.user.*.message" must keep its asterisk.

/** A code span, or a link with its text; repetitions are bounded, because a page of opening brackets must not take minutes. */
const codeOrLink =
  /(`+[^`]*`+)|!?\[([^\]]{0,1000})\]\([^()\s]{0,2000}(?:\([^()]{0,200}\)[^()\s]{0,2000}){0,3}(?:\s{1,10}"[^"]{0,500}")?\)/g;

/** Text without the targets of links. */
export function inlineText(text: string): string {
  return text.replaceAll(codeOrLink, (whole: string, code?: string, label?: string) => code ?? label ?? whole);
}

/** Text without links' targets and marks of emphasis and code. */
export function plainText(text: string): string {
  return inlineText(text)
    .split(/(`+[^`]*`+)/)
    .map((part, at) => (at % 2 === 1 ? part.replaceAll("`", "") : withoutEmphasis(part)))
    .join("")
    .trim();
}

function withoutEmphasis(text: string): string {
  return text
    .replaceAll(/\*\*|(?<![\p{L}\p{N}.])\*(?=\S)|(?<=\S)\*(?![\p{L}\p{N}.])/gu, "")
    .replaceAll(/(?<![\p{L}\p{N}_])__(?=\S)([^_]{1,200})__(?![\p{L}\p{N}_])/gu, "$1");
}
