// The text of an answer as it is read out: no citations, no marks, no code, and no longer than speech servers take.
import { withoutCitations } from "./citations.ts";

const longest = 4096;

export interface Spoken {
  readonly text: string;
  /** Whether the answer went on after it. */
  readonly shortened: boolean;
}

export function spokenText(answer: string): Spoken {
  const plain = withoutCitations(answer)
    .replaceAll(/```[\s\S]*?(?:```|$)/g, " ")
    .replaceAll(/!?\[([^[\]]*)\]\([^)\s]{0,500}\)/g, "$1")
    .replaceAll(/^[ \t]*(?:#{1,6}|[-*+>])[ \t]+/gm, "")
    .replaceAll(/[*`|]|__/g, "")
    .replaceAll(/[ \t]+/g, " ")
    .trim();
  if (plain.length <= longest) return { text: plain, shortened: false };
  const head = plain.slice(0, longest);
  const end = Math.max(...[". ", "! ", "? ", "\n"].map((mark) => head.lastIndexOf(mark)));
  return { text: head.slice(0, end > 0 ? end + 1 : longest).trim(), shortened: true };
}
