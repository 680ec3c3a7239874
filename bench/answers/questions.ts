// The question set: what the documentation answers, with the pattern of a right answer and the section that holds it, and what it does not.
// I1: the halves were fixed before anything was tuned; only "tune" may be looked at while tuning.
import { readFile } from "node:fs/promises";

export interface Question {
  readonly id: string;
  readonly half: "tune" | "held";
  readonly question: string;
  /** Absent where the documentation holds no answer. */
  readonly expected?: {
    readonly pattern: RegExp;
    /** Title of the document, or its file name without the ending. */
    readonly document: string;
    /** Section, or "" for anywhere in the document. */
    readonly section: string;
  };
}

/** `file` is "questions.json", or "practice.json": more of them, to tune with, that count for nothing. */
export async function readQuestions(file: "questions.json" | "practice.json"): Promise<Question[]> {
  const rows: unknown = JSON.parse(await readFile(new URL(file, import.meta.url), "utf8"));
  if (!Array.isArray(rows)) throw new Error(`${file} must be a list`);
  return rows.map((row: Record<string, unknown>): Question => {
    const text = (key: string) => {
      const value = row[key];
      if (typeof value !== "string") throw new Error(`${file}: ${String(row["id"])} has no ${key}`);
      return value;
    };
    return {
      id: text("id"),
      half: text("half") === "held" ? "held" : "tune",
      question: text("question"),
      ...("expect" in row && {
        expected: { pattern: new RegExp(text("expect"), "i"), document: text("document"), section: text("section") },
      }),
    };
  });
}
