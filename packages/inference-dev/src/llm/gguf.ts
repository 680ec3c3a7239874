// A GGUF model as the engine of answers: it writes, and the code cites.
//
// I1  With sources, only sentences that a source supports leave, each with that source's number; without any left, the refusal.
// I2  A question that the sources do not cover is refused before the model is asked: small models answer everything.
import { basename } from "node:path";
import { stat } from "node:fs/promises";
import { isCovered, refusal } from "../answers/compose.ts";
import { readConversation } from "../answers/conversation.ts";
import { findEvidence, questionTerms } from "../answers/evidence.ts";
import { standAlone } from "../answers/extractive.ts";
import type { Rarity } from "../answers/rarity.ts";
import type { SentenceVectors } from "../embeddings/sentences.ts";
import type { ChatEngine, ChatTurn } from "../engines.ts";
import { cite } from "./cite.ts";
import { installRuntime } from "./install.ts";
import { loadModel, type HistoryItem, type Session } from "./runtime.ts";
import { createSentenceSplitter } from "./sentences.ts";

export interface GgufOptions {
  readonly file: string;
  readonly rarity: Rarity;
  readonly vectors?: SentenceVectors;
  readonly log: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** Characters of a turn that fit the context together with an answer. */
const maxSystemLength = 8000;
const maxTurnLength = 1000;
/** Earlier turns that are told to the model. */
const maxTurns = 4;
const maxAnswerTokens = 256;

/** Resolves when the model is loaded; rejects with an Error of one line. */
export async function openGguf(options: GgufOptions): Promise<ChatEngine & AsyncDisposable> {
  const { file, rarity, vectors, log, signal } = options;
  const found = await stat(file).catch(() => undefined);
  if (found?.isFile() !== true) throw new Error(`--llm names ${file}, which is no file`);
  const folder = await installRuntime(log, signal);
  log(`loading ${file}`);
  const model = await loadModel(folder, file, signal).catch((error: unknown) => {
    throw new Error(`${file} cannot be loaded: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  });
  const name = `gguf:${basename(file).replaceAll(/[^\w.-]/g, "_")}`;
  const judge = { rarity, ...(vectors && { vectors }) };

  return {
    name,
    concurrency: 1,
    async *answer(turns, { signal: ended, maxTokens }) {
      const conversation = readConversation(turns);
      const { sources } = conversation;
      if (sources.length === 0) {
        yield* write(turns, ended, maxTokens);
        return;
      }
      const question = standAlone(conversation);
      const terms = questionTerms(question, rarity);
      const evidence = await findEvidence(question, terms, sources, { ...judge, signal: ended });
      const [best] = evidence;
      const said = new Set<string>();
      if (best !== undefined && isCovered(best, evidence, terms)) {
        const splitter = createSentenceSplitter();
        const written = write(turns, ended, maxTokens);
        for await (const sentence of sentencesOf(written, splitter)) {
          const cited = await cite(sentence, sources, { ...judge, signal: ended });
          if (cited === undefined) continue; // I1
          if (said.has(cited)) break; // small models go round in circles
          yield* words(said.size > 0 ? ` ${cited}` : cited);
          said.add(cited);
        }
      }
      if (said.size === 0) yield* words(refusal);
    },
    [Symbol.asyncDispose]: () => model.dispose(),
  };

  /** The model's own text, piece by piece. */
  async function* write(turns: readonly ChatTurn[], ended: AbortSignal, maxTokens: number): AsyncGenerator<string> {
    const session = await model.openSession();
    try {
      session.setChatHistory(historyOf(turns));
      yield* pieces(
        session,
        turns.at(-1)?.text.slice(0, maxTurnLength) ?? "",
        ended,
        Math.min(maxTokens, maxAnswerTokens),
      );
    } finally {
      session.dispose({ disposeSequence: false });
    }
  }
}

/** Turns the callbacks of a session into a stream; leaving it ends the generation. */
async function* pieces(
  session: Session,
  question: string,
  ended: AbortSignal,
  maxTokens: number,
): AsyncGenerator<string, void, undefined> {
  const left = new AbortController();
  const waiting: string[] = [];
  let wake = Promise.withResolvers<void>();
  let over = false;
  const run = session
    .prompt(question, {
      signal: AbortSignal.any([ended, left.signal]),
      stopOnAbortSignal: false,
      maxTokens,
      temperature: 0,
      onTextChunk(text) {
        waiting.push(text);
        wake.resolve();
      },
    })
    .finally(() => {
      over = true;
      wake.resolve();
    });
  try {
    for (;;) {
      yield* waiting.splice(0);
      if (over) break;
      await wake.promise;
      wake = Promise.withResolvers();
    }
    yield* waiting.splice(0);
    await run;
  } finally {
    left.abort();
    await run.catch(() => undefined); // told above, or nobody is there any more; the sequence must be free for the next call
  }
}

async function* sentencesOf(
  written: AsyncGenerator<string>,
  splitter: ReturnType<typeof createSentenceSplitter>,
): AsyncGenerator<string> {
  for await (const piece of written) yield* splitter.push(piece);
  yield* splitter.end();
}

function* words(text: string): Generator<string> {
  for (const [word] of text.matchAll(/\s*\S+/g)) yield word;
}

/** Everything before the question, cut to what the context holds. */
function historyOf(turns: readonly ChatTurn[]): HistoryItem[] {
  const system = turns
    .filter(({ role }) => role === "system")
    .map(({ text }) => text)
    .join("\n\n");
  const earlier = turns
    .filter(({ role }) => role !== "system")
    .slice(0, -1)
    .slice(-maxTurns);
  return [
    ...(system === "" ? [] : [{ type: "system" as const, text: system.slice(0, maxSystemLength) }]),
    ...earlier.map(({ role, text }): HistoryItem => {
      const cut = text.slice(0, maxTurnLength);
      return role === "assistant" ? { type: "model", response: [cut] } : { type: "user", text: cut };
    }),
  ];
}
