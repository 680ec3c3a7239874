// How well the local stack answers questions about this repository's documentation: right and cited, refused, wrong.
//   node bench/answers/main.ts [--half tune|held | --practice] [--show] [--words-only] [--no-rerank] [--llm FILE] [--documents FOLDER]
// Exit code 1 when a bar is missed. `--show` prints the answers that are not right; while tuning, look at the half "tune" only.
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startInference } from "@pipeline/inference-dev";
import { openAsker } from "./ask.ts";
import { grade, summarize, type Graded } from "./grade.ts";
import { readQuestions } from "./questions.ts";

const repository = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** What all questions together must reach. */
const bars = { rightAndCited: 0.75, refused: 0.8, wrong: 0.1 };

function line(name: string, graded: readonly Graded[]): string {
  const { questions, rightAndCited, refused, wrong, found } = summarize(graded);
  const percent = (share: number) => `${(share * 100).toFixed(1).padStart(5)} %`;
  return (
    `${name.padEnd(5)} ${String(questions).padStart(3)} questions   right and cited ${percent(rightAndCited)}   ` +
    `uncovered refused ${percent(refused)}   wrong but asserted ${percent(wrong)}   (section found ${percent(found)})`
  );
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function show(graded: readonly Graded[]): void {
  for (const { question, answer, grade: given, found } of graded) {
    if (given === "right and cited" || given === "rightly refused") continue;
    print(`\n${question.id} ${given}${found ? "" : ", section not found"}: ${question.question}\n   ${answer}`);
  }
  print("");
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    allowNegative: true,
    options: {
      half: { type: "string" },
      show: { type: "boolean", default: false },
      "words-only": { type: "boolean", default: false },
      rerank: { type: "boolean", default: true },
      llm: { type: "string" },
      practice: { type: "boolean", default: false },
      documents: { type: "string", default: repository },
    },
  });
  const { signal } = new AbortController();
  await using inference = await startInference({
    embeddings: !values["words-only"],
    ...(values.llm !== undefined && { llm: values.llm }),
  });
  await using asker = await openAsker({ inference, documents: values.documents, rerank: values.rerank, signal });
  const { documents, added } = asker.indexed;
  print(`${JSON.stringify(inference.engines)}, ${documents} documents, ${added} passages`);

  const questions = (await readQuestions(values.practice ? "practice.json" : "questions.json")).filter(
    ({ half }) => values.half === undefined || half === values.half,
  );
  const graded: Graded[] = [];
  const began = performance.now();
  for (const question of questions) {
    const { answer, passages } = await asker.ask(question.question);
    graded.push(grade(question, answer, passages));
  }
  const ms = (performance.now() - began) / Math.max(1, questions.length);
  if (values.show) show(graded);
  for (const half of ["tune", "held"] as const) {
    const part = graded.filter(({ question }) => question.half === half);
    if (part.length > 0) print(line(half, part));
  }
  if (values.half === undefined) print(line("all", graded));
  print(`${ms.toFixed(0)} ms for each question, its search included`);
  const { rightAndCited, refused, wrong } = summarize(graded);
  if (rightAndCited < bars.rightAndCited || refused < bars.refused || wrong > bars.wrong) process.exitCode = 1;
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
});
