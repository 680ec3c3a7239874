// Chooses what of the evidence is said, or that nothing is.
// I1: every sentence of an answer is a unit of a source and is followed by that source's number.
import type { Evidence, QuestionTerm } from "./evidence.ts";
import { stemsOf, support } from "./terms.ts";

export const refusal = "The sources do not say.";

/** Words after which nothing more is added. */
const enoughWords = 60;
/** A sentence that begins so means what stands before it. */
const leansBack =
  /^(?:it|its|they|their|this|that|these|those|otherwise|then|also|afterwards|beyond that|a longer one|the same|in the other)\b/i;

/** Units in the order in which they are said; empty when the sources do not answer. */
export function compose(evidence: readonly Evidence[], terms: readonly QuestionTerm[]): Evidence[] {
  const [best] = evidence;
  if (best === undefined || !isCovered(best, evidence, terms)) return [];
  const chosen = [best];
  const at = (place: number) => evidence.find((each) => each.source === best.source && each.place === place);
  const add = (unit: Evidence | undefined) => {
    if (unit !== undefined && !chosen.includes(unit) && wordsIn(chosen) < enoughWords) chosen.push(unit);
  };
  if (leansBack.test(best.text)) add(at(best.place - 1));
  const [second] = evidence.filter((each) => !chosen.includes(each));
  if (second !== undefined && second.score > best.score * 0.85) add(second);
  const next = at(best.place + 1);
  if (next !== undefined && next.block === best.block && best.kind === "sentence") add(next);
  return chosen.toSorted((a, b) =>
    a.source === b.source
      ? a.place - b.place
      : chosen.findIndex((each) => each.source === a.source) - chosen.findIndex((each) => each.source === b.source),
  );
}

export function isCovered(best: Evidence, evidence: readonly Evidence[], terms: readonly QuestionTerm[]): boolean {
  const nearby = stemsOf(
    evidence
      .filter(({ source }) => source === best.source)
      .map(({ text }) => text)
      .join(" ") + ` ${best.source.heading}`,
  );
  const total = terms.reduce((sum, { weight }) => sum + weight, 0);
  const supported = terms.reduce((sum, { stem, weight }) => sum + weight * support(stem, nearby), 0);
  const share = total === 0 ? 0 : supported / total;
  return 0.8 * best.around + 0.7 * share + 1.2 * best.close >= 1.25;
}

function wordsIn(units: readonly Evidence[]): number {
  return units.reduce((sum, { text }) => sum + text.split(/\s+/).length, 0);
}

/** The answer's text. I1 */
export function write(units: readonly Evidence[]): string {
  return units.map(({ text, source }) => `${asSentence(text)} [${source.number}]`).join(" ");
}

function asSentence(text: string): string {
  const whole = text.replace(/[:;,]$/, "").trim();
  const first = whole.charAt(0).toUpperCase() + whole.slice(1);
  return /[.!?…)`"']$/.test(first) ? first : `${first}.`;
}
