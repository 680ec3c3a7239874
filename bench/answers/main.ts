// How well the local stack answers questions about this repository's documentation: right and cited, refused, wrong.
//   node bench/answers/main.ts [--half tune|held] [--show] [--words-only] [--rerank] [--llm FILE]
// Documents, passages, search and prompt are those of chat-handler; the engine is inference-dev behind its HTTP API.
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import {
  openEmbeddings,
  openLlm,
  openReranker,
  type Embeddings,
  type Llm,
  type Reranker,
} from "@pipeline/handler-base/inference";
import {
  ingest,
  openEmbeddedStore,
  readMarkdownFolder,
  type Passage,
  type VectorStore,
} from "@pipeline/handler-base/vector";
import { startInference } from "@pipeline/inference-dev";
import { grade, summarize, type Graded } from "./grade.ts";
import { readQuestions, type Question } from "./questions.ts";

const repository = process.env["KB"] ?? dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const collection = "knowledge";
const topK = 5;
const instructions =
  "Answer the question from the numbered sources below, and put the number of the source, such as [1], after each sentence that it supports. " +
  "If the sources do not answer the question, say so.";

interface Bench {
  readonly store: VectorStore;
  readonly llm: Llm;
  readonly embeddings: Embeddings | undefined;
  readonly reranker: Reranker | undefined;
  readonly signal: AbortSignal;
}

async function search({ store, embeddings, reranker, signal }: Bench, question: string): Promise<Passage[]> {
  const [vector] = (await embeddings?.embed([question], { signal })) ?? [];
  const limit = reranker === undefined ? topK : topK * 4;
  const found = await store.search({ collection, text: question, limit, ...(vector && { vector }) }, { signal });
  if (reranker === undefined) return found;
  const texts = found.map(({ title, section, text }) => `${title} › ${section}\n\n${text}`);
  const ranked = await reranker.rerank(question, texts, { signal, topN: topK });
  return ranked.flatMap(({ index }) => found[index] ?? []);
}

function prompt(passages: readonly Passage[]): string {
  if (passages.length === 0) return instructions;
  const blocks = passages.map(
    ({ title, section, text }, at) => `[${at + 1}] ${section === "" ? title : `${title} › ${section}`}\n${text}`,
  );
  return `${instructions}\n\nSources:\n\n${blocks.join("\n\n")}`;
}

async function ask(bench: Bench, question: Question): Promise<Graded> {
  const passages = await search(bench, question.question);
  const messages = [
    { role: "system", content: prompt(passages) },
    { role: "user", content: question.question },
  ] as const;
  let answer = "";
  for await (const delta of bench.llm.stream({ messages }, { signal: bench.signal })) {
    if ("text" in delta) answer += delta.text;
  }
  return grade(question, answer, passages);
}

function print(name: string, graded: readonly Graded[]): void {
  const { questions, rightAndCited, refused, wrong, found } = summarize(graded);
  const percent = (share: number) => `${(share * 100).toFixed(1).padStart(5)} %`;
  process.stdout.write(
    `${name.padEnd(6)} ${String(questions).padStart(3)} questions   right and cited ${percent(rightAndCited)}   ` +
      `uncovered refused ${percent(refused)}   wrong but asserted ${percent(wrong)}   (section found ${percent(found)})\n`,
  );
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      half: { type: "string" },
      show: { type: "boolean", default: false },
      "words-only": { type: "boolean", default: false },
      rerank: { type: "boolean", default: false },
      llm: { type: "string" },
    },
  });
  const { signal } = new AbortController();
  await using inference = await startInference({
    embeddings: !values["words-only"],
    ...(values.llm !== undefined && { llm: values.llm }),
  });
  const urls = [inference.url];
  await using llm = openLlm({ urls, firstTokenTimeoutMs: 300_000, headerTimeoutMs: 300_000, idleTimeoutMs: 300_000 });
  await using embeddings = inference.engines.embeddings === "none" ? undefined : openEmbeddings({ urls });
  await using reranker = values.rerank ? openReranker({ urls }) : undefined;
  await using store = openEmbeddedStore();
  const summary = await ingest({
    store,
    collection,
    documents: readMarkdownFolder(repository, { signal }),
    signal,
    ...(embeddings && { embeddings }),
  });
  process.stdout.write(`engine ${inference.engines.llm}, ${summary.documents} documents, ${summary.added} passages\n`);

  const all = (await readQuestions()).filter(({ half }) => values.half === undefined || half === values.half);
  const graded: Graded[] = [];
  const started = performance.now();
  for (const question of all) graded.push(await ask({ store, llm, embeddings, reranker, signal }, question));
  const ms = (performance.now() - started) / Math.max(1, all.length);
  if (values.show) {
    for (const { question, answer, grade: each, found } of graded) {
      if (each === "right and cited" || each === "rightly refused") continue;
      process.stdout.write(
        `\n${question.id} ${each}${found ? "" : " (section not found)"}: ${question.question}\n   ${answer}\n`,
      );
    }
  }
  for (const half of ["tune", "held"] as const) {
    const part = graded.filter(({ question }) => question.half === half);
    if (part.length > 0) print(half, part);
  }
  if (values.half === undefined) print("all", graded);
  process.stdout.write(`${ms.toFixed(0)} ms for each question, its search included\n`);
  const { rightAndCited, refused, wrong } = summarize(graded);
  if (rightAndCited < 0.75 || refused < 0.8 || wrong > 0.1) process.exitCode = 1;
}

void main();
