// What is found in this repository's documentation by words, by vectors and by both: the reason for hybrid retrieval, as numbers.
//   node bench/retrieval/main.ts [--half tune|held] [--json]
// A passage is right when its document, its section and its text are those that the question set names. Documents are indexed as
// chat-handler indexes them, vectors come from inference-dev. Exit code 1 when both together find less than the better one alone.
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { openEmbeddings } from "@pipeline/handler-base/inference";
import {
  ingest,
  openEmbeddedStore,
  readMarkdownFolder,
  type Passage,
  type SearchQuery,
} from "@pipeline/handler-base/vector";
import { startInference } from "@pipeline/inference-dev";
import { readQuestions, type Question } from "../answers/questions.ts";

const repository = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const collection = "documentation";
/** Places that are looked at; the deepest that any service asks for. */
const depth = 10;
const ways = ["words", "vectors", "both"] as const;
type Way = (typeof ways)[number];

interface Row {
  readonly way: Way;
  /** Questions with a right passage among the first 1, 3, 5. */
  readonly at1: number;
  readonly at3: number;
  readonly at5: number;
  /** Mean of 1 / place of the first right passage. */
  readonly mrr: number;
}

function isRight({ expected }: Question, passage: Passage): boolean {
  if (expected === undefined) return false;
  const file = passage.uri?.split("/").at(-1)?.replace(/\.md$/, "") ?? "";
  return (
    [passage.title, file].includes(expected.document) &&
    (expected.section === "" || passage.section.split(" › ").includes(expected.section)) &&
    expected.pattern.test(passage.text)
  );
}

function rowOf(way: Way, places: readonly (number | undefined)[]): Row {
  const within = (most: number) => places.filter((place) => place !== undefined && place <= most).length;
  const sum = places.reduce<number>((total, place) => total + (place === undefined ? 0 : 1 / place), 0);
  return { way, at1: within(1), at3: within(3), at5: within(5), mrr: sum / places.length };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { half: { type: "string", default: "tune" }, json: { type: "boolean", default: false } },
  });
  const signal = AbortSignal.timeout(300_000);
  await using inference = await startInference({ signal });
  await using embeddings = openEmbeddings({ urls: [inference.url], headerTimeoutMs: 120_000 });
  await using store = openEmbeddedStore();
  const documents = readMarkdownFolder(repository, { signal });
  const { documents: count, added } = await ingest({ store, embeddings, collection, documents, signal });

  const all = (await readQuestions("questions.json")).filter(
    (each) => each.half === values.half && each.expected !== undefined,
  );
  const find = (query: Partial<SearchQuery>, limit: number) =>
    store.search({ ...query, collection, limit }, { signal });
  const places: Record<Way, (number | undefined)[]> = { words: [], vectors: [], both: [] };
  let unanswered = 0;
  for (const question of all) {
    const [vector] = await embeddings.embed([question.question], { signal });
    if (vector === undefined) throw new Error("the embeddings server gave no vector");
    const passages = await find({ vector }, added);
    if (!passages.some((passage) => isRight(question, passage))) {
      unanswered++; // the documentation has changed since the question was written
      continue;
    }
    const queries = {
      words: { text: question.question },
      vectors: { vector },
      both: { text: question.question, vector },
    };
    for (const way of ways) {
      const at = (await find(queries[way], depth)).findIndex((passage) => isRight(question, passage));
      places[way].push(at === -1 ? undefined : at + 1);
    }
  }
  const rows = ways.map((way) => rowOf(way, places[way]));
  const asked = all.length - unanswered;
  if (values.json) {
    process.stdout.write(
      `${JSON.stringify({ documents: count, passages: added, questions: asked, unanswered, rows })}\n`,
    );
  } else {
    process.stdout.write(
      `${count} documents, ${added} passages, ${asked} questions (${unanswered} more have no passage to find)\n` +
        `found by   first   first 3   first 5   MRR\n` +
        rows
          .map(({ way, at1, at3, at5, mrr }) =>
            [way.padEnd(8), `${at1}/${asked}`, `${at3}/${asked}`, `${at5}/${asked}`, mrr.toFixed(3)].join("   "),
          )
          .join("\n") +
        "\n",
    );
  }
  const [words, vectors, both] = rows;
  if ((both?.at5 ?? 0) < Math.max(words?.at5 ?? 0, vectors?.at5 ?? 0)) {
    process.stderr.write("both together find less than one alone\n");
    process.exitCode = 1;
  }
}

await main();
