// Reads a conversation: the question, what was asked before, and the numbered sources at the end of the system message.
// I1: a block starts only at a line with the next number, so that "[7] …" inside a passage does not.
import type { ChatTurn } from "../engines.ts";

export interface Source {
  /** What a citation shows. */
  readonly number: number;
  /** Title and section, as in "Delivery › Order". */
  readonly heading: string;
  readonly text: string;
}

export interface Conversation {
  readonly question: string;
  /** The user's earlier questions, the latest first. */
  readonly earlier: readonly string[];
  readonly sources: readonly Source[];
}

export function readConversation(turns: readonly ChatTurn[]): Conversation {
  const system = turns.filter(({ role }) => role === "system").map(({ text }) => text);
  const [question = "", ...earlier] = turns
    .filter(({ role }) => role === "user")
    .map(({ text }) => text)
    .toReversed();
  return { question, earlier, sources: readSources(system.join("\n\n")) };
}

export function readSources(system: string): Source[] {
  const start = system.search(/^Sources:[ \t]*$/m);
  if (start === -1) return [];
  const blocks: { heading: string; lines: string[] }[] = [];
  for (const line of system.slice(start).split(/\r?\n/).slice(1)) {
    const mark = `[${blocks.length + 1}] `; // I1
    if (line.startsWith(mark)) blocks.push({ heading: line.slice(mark.length).trim(), lines: [] });
    else blocks.at(-1)?.lines.push(line);
  }
  return blocks.map(({ heading, lines }, at) => ({ number: at + 1, heading, text: lines.join("\n").trim() }));
}
