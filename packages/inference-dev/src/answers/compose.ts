// Chooses what of the evidence is said, or that nothing is.
// I1: every sentence of an answer is a unit of a source and is followed by that source's number.
import type { Evidence, QuestionTerm } from "./evidence.ts";
import { stemsOf, support } from "./terms.ts";

export const refusal = "The sources do not say.";

/** Words after which nothing more is added. */
const enoughWords = 45;
/** Shares of the best unit's score from which another one is said as well; what goes on in the next sentence needs less. */
const enoughLike = { best: 0.7, bestWhenNext: 0.5 };
/** A sentence that begins so means what stands before it. */
const leansBack =
  /^(?:it|its|they|their|this|that|these|those|otherwise|then|also|afterwards|beyond that|a longer one|the same|in the other)\b/i;

/** Units in the order in which they are said; empty when the sources do not answer. */
export function compose(question: string, evidence: readonly Evidence[], terms: readonly QuestionTerm[]): Evidence[] {
  const [best] = evidence;
  if (best === undefined || !isCovered(best, evidence, terms)) return [];
  const chosen = [best];
  const at = (place: number) => evidence.find((each) => each.source === best.source && each.place === place);
  const add = (unit: Evidence | undefined) => {
    if (unit !== undefined && !chosen.some((each) => each.text === unit.text) && wordsIn(chosen) < enoughWords)
      chosen.push(unit);
  };
  if (leansBack.test(best.text) || /^\W*why\b/i.test(question)) add(at(best.place - 1)); // a reason stands before what it explains
  // "as follows:" says nothing without what follows
  for (let place = best.place + 1; best.text.endsWith(":"); place++) {
    const follower = at(place);
    if (follower === undefined || follower.kind === "sentence") break;
    add(follower);
  }
  for (let more = 0; more < 2; more++) {
    const another = evidence.find(({ text }) => !chosen.some((each) => each.text === text));
    if (another !== undefined && another.score > best.score * enoughLike.best) add(another);
  }
  const next = at(best.place + 1);
  if (next !== undefined && next.block === best.block && next.score > best.score * enoughLike.bestWhenNext) add(next);
  return chosen.toSorted((a, b) =>
    a.source === b.source
      ? a.place - b.place
      : chosen.findIndex((each) => each.source === a.source) - chosen.findIndex((each) => each.source === b.source),
  );
}

/** Where the best unit's words, its surroundings and its meaning together begin to carry an answer; measured on the question set. */
const enough = { withMeaning: 1.59, wordsOnly: 0.92 };

/** Whether the question's words are supported by the best unit and its passage, and the unit is close to it in meaning. */
export function isCovered(best: Evidence, evidence: readonly Evidence[], terms: readonly QuestionTerm[]): boolean {
  const passage = evidence.filter(({ source }) => source === best.source).map(({ text }) => text);
  const nearby = stemsOf([best.source.heading, ...passage].join(" "));
  const total = terms.reduce((sum, { weight }) => sum + weight, 0);
  const supported = terms.reduce((sum, { stem, weight }) => sum + weight * support(stem, nearby), 0);
  const share = total === 0 ? 0 : supported / total;
  const words = 0.8 * best.around + 0.7 * share;
  return best.close === undefined ? words >= enough.wordsOnly : words + 2 * best.close >= enough.withMeaning;
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
