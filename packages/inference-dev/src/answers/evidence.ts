// How well each unit of the sources answers a question.
import { cosine, type SentenceVectors } from "../embeddings/sentences.ts";
import type { Source } from "./conversation.ts";
import type { Rarity } from "./rarity.ts";
import { stemsOf, support, termsOf } from "./terms.ts";
import { unitsOf, type Unit } from "./units.ts";

export interface QuestionTerm {
  readonly stem: string;
  readonly word: string;
  readonly weight: number;
}

export interface Evidence extends Unit {
  readonly source: Source;
  /** Place among the units of its source. */
  readonly place: number;
  /** Higher answers better. */
  readonly score: number;
  /** Share of the question, by weight, that the unit itself says. */
  readonly said: number;
  /** The same with its headings, lead and neighbours. */
  readonly around: number;
  /** Cosine of unit and question; undefined without an embedding model. */
  readonly close: number | undefined;
}

export interface EvidenceOptions {
  readonly vectors?: SentenceVectors;
  readonly signal: AbortSignal;
}

/** What counts for how much: measured on the half of the question set that is for tuning, where the best place is a broad one. */
const weights = { said: 0.35, around: 0.4, close: 0.8, place: 0.2 };

/** Units beyond this are not read. */
const maxUnits = 2000;

/** What a question is about, weighed. */
export function questionTerms(question: string, rarity: Rarity, factor = 1): QuestionTerm[] {
  const seen = new Set<string>();
  return termsOf(question).flatMap(({ stem, word }) => {
    if (seen.has(stem)) return [];
    seen.add(stem);
    return [{ stem, word, weight: rarity(word) * factor }];
  });
}

/** Whether a text holds the question itself, as an example of how to ask does: that answers nothing. */
function echoes(text: string, question: string): boolean {
  const asked = plainWords(question);
  return asked.split(" ").length >= 3 && plainWords(text).includes(asked);
}

const plainWords = (text: string) =>
  text
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, " ")
    .trim();

/** All units, the best first. */
export async function findEvidence(
  question: string,
  terms: readonly QuestionTerm[],
  sources: readonly Source[],
  { vectors, signal }: EvidenceOptions,
): Promise<Evidence[]> {
  const units = sources
    .flatMap((source) => unitsOf(source.text).map((unit, place) => ({ unit, place, source })))
    .filter(({ unit }) => !echoes(unit.text, question))
    .slice(0, maxUnits);
  const closeness = await closenessOf(question, units, { ...(vectors && { vectors }), signal });
  const stems = units.map(({ unit }) => new Set([...stemsOf(unit.text), ...kindsOfCode(unit.text)]));
  const total = terms.reduce((sum, { weight }) => sum + weight, 0);
  const evidence = units.map(({ unit, place, source }, at): Evidence => {
    const own = stems[at] ?? new Set();
    const headings = stemsOf(`${source.heading} ${unit.lead}`);
    const before = units[at - 1]?.source === source ? (stems[at - 1] ?? new Set<string>()) : new Set<string>();
    const after = units[at + 1]?.source === source ? (stems[at + 1] ?? new Set<string>()) : new Set<string>();
    let said = 0;
    let around = 0;
    for (const { stem, weight } of terms) {
      const inUnit = support(stem, own);
      said += weight * inUnit;
      around +=
        weight *
        Math.max(inUnit, 0.75 * support(stem, headings), 0.6 * support(stem, before), 0.4 * support(stem, after));
    }
    said = total === 0 ? 0 : said / total;
    around = total === 0 ? 0 : around / total;
    const close = closeness?.[at];
    const score =
      weights.said * said +
      weights.around * around +
      weights.close * (close ?? 0) +
      weights.place / (source.number + 2) +
      kindBonus(question, unit) -
      penalty(unit);
    return { ...unit, source, place, score, said, around, close };
  });
  return evidence.toSorted((a, b) => b.score - a.score);
}

/** The mean of a unit by itself and below its heading: each alone misleads more often (measured). */
async function closenessOf(
  question: string,
  units: readonly { unit: Unit; source: Source }[],
  { vectors, signal }: { vectors?: SentenceVectors; signal: AbortSignal },
): Promise<readonly number[] | undefined> {
  if (vectors === undefined || units.length === 0) return undefined;
  const bare = units.map(({ unit }) => unit.text);
  const headed = units.map(({ unit, source }) =>
    source.heading === "" ? unit.text : `${source.heading.replace(/^.*› /, "")}: ${unit.text}`,
  );
  const [asked = new Float32Array(), ...made] = await vectors([question, ...bare, ...headed], { signal });
  const closeTo = (at: number) => cosine(asked, made[at] ?? new Float32Array());
  return units.map((_, at) => (closeTo(at) + closeTo(at + units.length)) / 2);
}

/** What code in a text is, though no word of the text says so: `/livez` is a path, `npm start` a command. */
function* kindsOfCode(text: string): Generator<string> {
  for (const [, code = ""] of text.matchAll(/`([^`]+)`/g)) {
    if (/^\/[\w/-]+$/.test(code)) yield "path";
    else if (/^[A-Z][A-Z0-9]*_[A-Z0-9_<>]+$/.test(code)) yield "variabl";
    else if (/^(?:[a-z][\w-]*|\.\/\S+)(?: [\w-]\S*)+$/.test(code)) yield "command";
  }
}

/** Scraps of text and lines of code seldom answer by themselves. */
function penalty({ text, kind }: Unit): number {
  if (kind === "code") return 0.15;
  return text.split(/\s+/).length < 4 ? 0.3 : 0;
}

/** An answer to "how long" holds a number, one to "how do I" something to type, one to "which option" is an option. */
function kindBonus(question: string, { text, instance }: Unit): number {
  const asked = /\b(?:which|what)\s+(?:\w+\s+)?(\w+)/i.exec(question);
  if (instance !== "" && asked !== null) {
    const names = stemsOf(instance);
    if (termsOf(asked[0]).some(({ stem }) => support(stem, names) >= 0.7)) return 0.25;
  }
  if (/\bhow (?:long|many|much|often|large|big|old)\b|\bwhen\b|\bwhat (?:number|size|port|code)\b/i.test(question))
    return /\d|\b(?:one|two|three|four|five|six|ten|sixteen|once|twice|second|minute|hour|day|half|third)s?\b/i.test(
      text,
    )
      ? 0.08
      : 0;
  if (/\bhow (?:do|can|would|should) (?:i|you|we)\b/i.test(question))
    return (text.includes("`") ? 0.05 : 0) + (imperative.test(text) ? 0.08 : 0);
  return 0;
}

/** An instruction begins with what is to be done. */
const imperative =
  /^(?:to \w+|set|run|use|put|make|add|call|start|stop|send|publish|subscribe|throw|give|pass|read|write|open|choose|install|describe|name|point)\b/i;
