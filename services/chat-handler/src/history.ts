// The turns of one conversation: which are kept, and how they are written. What keeps them is history-store.ts.
//
// I1  A request has at most one turn, however often it is written.
// I2  At most `turns` turns in at most `maxBytes` bytes, the newest first to stay.
// I3  A key belongs to one user and one session: no other pair has the same one.
import { createHash } from "node:crypto";

export interface Turn {
  readonly requestId: string;
  /** When it was complete, Unix ms. */
  readonly at: number;
  readonly question: string;
  readonly answer: string;
}

export interface HistoryLimits {
  readonly turns: number;
  readonly maxBytes: number;
  /** Age after which a turn is forgotten, ms. */
  readonly ttlMs: number;
}

/** Key of a conversation; undefined where a request belongs to none. One way, so that ids never shape a key. */
export function conversationKey(userId: string, sessionId: string): string | undefined {
  if (sessionId === "") return undefined;
  return createHash("sha256")
    .update(JSON.stringify([userId, sessionId]))
    .digest("base64url"); // I3
}

/** The turns with this one at their end. */
export function withTurn(turns: readonly Turn[], turn: Turn, limits: HistoryLimits): Turn[] {
  if (limits.turns === 0) return [];
  const others = turns.filter(({ requestId }) => requestId !== turn.requestId); // I1
  const kept = [...others, fit(turn, limits.maxBytes)].slice(-limits.turns);
  while (kept.length > 1 && encodeTurns(kept).byteLength > limits.maxBytes) kept.shift(); // I2
  return kept;
}

/** A turn that alone is too large, with its texts cut short. */
function fit(turn: Turn, maxBytes: number): Turn {
  let fitted = turn;
  for (let longest = maxBytes; longest > 0 && encodeTurns([fitted]).byteLength > maxBytes; longest >>= 1) {
    fitted = { ...turn, question: clip(turn.question, longest), answer: clip(turn.answer, longest) };
  }
  return fitted;
}

/** Turns that a request sees: not its own of an earlier attempt, none that is too old. */
export function turnsBefore(turns: readonly Turn[], requestId: string, limits: HistoryLimits, now: number): Turn[] {
  if (limits.turns === 0) return [];
  return turns.filter((turn) => turn.requestId !== requestId && now - turn.at < limits.ttlMs).slice(-limits.turns);
}

export function encodeTurns(turns: readonly Turn[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(turns));
}

/** What was written; undefined when it is not what `encodeTurns` writes. */
export function decodeTurns(bytes: Uint8Array): Turn[] | undefined {
  if (bytes.byteLength === 0) return [];
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return Array.isArray(value) && value.every(isTurn) ? value : undefined;
  } catch {
    return undefined; // the parser's message would quote the conversation
  }
}

function isTurn(value: unknown): value is Turn {
  if (typeof value !== "object" || value === null) return false;
  const turn: Partial<Record<keyof Turn, unknown>> = value;
  return (
    typeof turn.requestId === "string" &&
    typeof turn.at === "number" &&
    typeof turn.question === "string" &&
    typeof turn.answer === "string"
  );
}

const clip = (text: string, longest: number): string => (text.length > longest ? `${text.slice(0, longest)}…` : text);
