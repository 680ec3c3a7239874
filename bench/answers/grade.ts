// What an answer is worth.
import type { Passage } from "@pipeline/handler-base/vector";
import type { Question } from "./questions.ts";

export type Grade =
  /** The pattern stands in it, and a cited passage is of the expected section or says the same elsewhere. */
  | "right and cited"
  | "right, cited elsewhere"
  /** It says that the sources do not say, and they do not. */
  | "rightly refused"
  | "wrongly refused"
  /** Something else is asserted. */
  | "wrong";

export interface Graded {
  readonly question: Question;
  readonly answer: string;
  readonly grade: Grade;
  /** Whether a passage of the expected section was among those given to the engine. */
  readonly found: boolean;
}

/** The engine's own words, for sources that do not answer and for a search that found none. */
const refusal = /^(?:The sources do not say\.|I have no sources to answer this from\b)/;

export function grade(question: Question, answer: string, passages: readonly Passage[]): Graded {
  const refused = refusal.test(answer.trim());
  const { expected } = question;
  if (expected === undefined) return { question, answer, grade: refused ? "rightly refused" : "wrong", found: false };
  const isExpected = ({ title, uri = "", section }: Passage) =>
    [title.toLowerCase(), uri.toLowerCase()].some((name) =>
      [
        expected.document.toLowerCase(),
        `${expected.document.toLowerCase()}.md`,
        `docs/${expected.document.toLowerCase()}.md`,
      ].includes(name),
    ) &&
    (expected.section === "" || section.split(" › ").includes(expected.section));
  const cited = [...answer.matchAll(/\[(\d+)\]/g)].flatMap(([, number]) => passages[Number(number) - 1] ?? []);
  const found = passages.some(isExpected);
  if (refused) return { question, answer, grade: "wrongly refused", found };
  if (!expected.pattern.test(answer)) return { question, answer, grade: "wrong", found };
  const supported = cited.some((passage) => isExpected(passage) || expected.pattern.test(passage.text));
  return { question, answer, grade: supported ? "right and cited" : "right, cited elsewhere", found };
}

export interface Summary {
  readonly questions: number;
  /** Of the covered questions. */
  readonly rightAndCited: number;
  /** Of the uncovered questions. */
  readonly refused: number;
  /** Of all questions. */
  readonly wrong: number;
  /** Of the covered questions: the expected section was among the passages. */
  readonly found: number;
}

export function summarize(graded: readonly Graded[]): Summary {
  const covered = graded.filter(({ question }) => question.expected !== undefined);
  const uncovered = graded.filter(({ question }) => question.expected === undefined);
  const share = (list: readonly Graded[], good: (each: Graded) => boolean) =>
    list.length === 0 ? 0 : list.filter(good).length / list.length;
  return {
    questions: graded.length,
    rightAndCited: share(covered, ({ grade: each }) => each === "right and cited"),
    refused: share(uncovered, ({ grade: each }) => each === "rightly refused"),
    wrong: share(graded, ({ grade: each }) => each === "wrong"),
    found: share(covered, ({ found }) => found),
  };
}
