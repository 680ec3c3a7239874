// Judges what the oracle heard and what the counter counted, request by request.
import { counted, framesOfCount } from "./load.ts";
import type { Kill } from "./crash.ts";
import type { Oracle } from "./oracle.ts";
import type { Runs } from "./runs.ts";

/** Each list names what went wrong, one line a request; all are empty where every promise was kept. */
export interface Verdict {
  readonly requests: number;
  readonly runs: number;
  /** Runs that a kill ended. */
  readonly hits: number;
  readonly wrongAnswers: readonly string[];
  readonly severalFinals: readonly string[];
  /** Requests that were run more often than once and once more for each kill that hit a run of theirs. */
  readonly tooManyRuns: readonly string[];
  /** Frames of an attempt that came after one of a later attempt, and streams whose last attempt has gaps. */
  readonly wrongFrames: readonly string[];
}

export interface Evidence {
  readonly oracle: Oracle;
  readonly runs: Runs;
  readonly kills: readonly Kill[];
}

/** As many deliveries as the contract allows: a request that so many kills may have hit can end with an error. */
const maxAttempts = 5;

export function judge({ oracle, runs, kills }: Evidence): Verdict {
  const wrongAnswers: string[] = [];
  const severalFinals: string[] = [];
  const tooManyRuns: string[] = [];
  const wrongFrames: string[] = [];
  let hits = 0;
  const ids = new Set([...oracle.asked.keys(), ...runs.all.map(({ id }) => id)]);
  for (const id of ids) {
    const asked = oracle.asked.get(id);
    const [final, ...others] = oracle.finals(id);
    if (others.length > 0) severalFinals.push(`${id}: ${others.length + 1}`);
    if (asked && final) {
      const expected = asked.method === "count" ? counted(asked.text, framesOfCount) : asked.text;
      const { error, text } = final.answer;
      const killed = kills.filter(({ at }) => at > asked.at && at < final.at).length;
      if (error ? killed < maxAttempts : text !== expected) {
        wrongAnswers.push(`${id}: ${error ? `${error.type} ${error.message}` : text} after ${killed} kills`);
      }
    }
    const begun = runs.of(id);
    const hit = begun.filter((run) =>
      kills.some(({ pid, at }) => pid === run.pid && at >= run.at && final !== undefined && at <= final.at),
    ).length;
    hits += hit;
    // A call that was cut off, or whose method keeps no answers, has no final and is not run again.
    if (begun.length > 1 + hit) {
      const each = begun.map(({ pid, attempt, at }) => `attempt ${attempt} at ${Math.round(at)} by ${pid}`).join(", ");
      tooManyRuns.push(`${id}: ${begun.length} runs, ${hit} hits (${each}; final at ${Math.round(final?.at ?? 0)})`);
    }
    const problem = asked && problemOfFrames(oracle, id);
    if (problem !== undefined) wrongFrames.push(`${id}: ${problem}`);
  }
  return {
    requests: oracle.asked.size,
    runs: runs.all.length,
    hits,
    wrongAnswers,
    severalFinals,
    tooManyRuns,
    wrongFrames,
  };
}

function problemOfFrames(oracle: Oracle, id: string): string | undefined {
  const frames = oracle.frames(id);
  if (frames.length === 0) return undefined;
  let attempt = 0;
  let sequence = 0;
  for (const frame of frames) {
    if (frame.attempt < attempt) return `a frame of attempt ${frame.attempt} after one of attempt ${attempt}`;
    if (frame.attempt > attempt) sequence = 0;
    attempt = frame.attempt;
    if (Number(frame.sequence) !== sequence + 1)
      return `frame ${frame.sequence} after ${sequence} in attempt ${attempt}`;
    sequence += 1;
  }
  const last = frames.at(-1);
  return last?.done === true || last?.type === "error" ? undefined : "the last frame is not the end";
}
