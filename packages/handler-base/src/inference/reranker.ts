// Client of a reranking model: which documents fit the query best, whatever dialect the server speaks.
// I1: every index names a document, none twice, every score is finite, the best comes first; anything else is `internal`.
import { HandlerError } from "../error.ts";
import { usageOf } from "./chat.ts";
import { isRecord, parseJson, readText, stringOf } from "./json.ts";
import { openPool, type Call } from "./pool.ts";
import type { CallOptions, ClientOptions } from "./options.ts";
import { readScores, rerankDialects, rerankProbeOrder, type RerankDialect } from "./rerank-dialects.ts";

export type { RerankDialect };

export interface RerankerOptions extends ClientOptions {
  /** Default "auto": the first that the server knows. All URLs must speak the same one. */
  readonly dialect?: RerankDialect | "auto";
}

export interface RerankOptions extends CallOptions {
  /** How many of the best to give. Default all. */
  readonly topN?: number;
}

export interface RankedDocument {
  /** Position in the list that was given. */
  readonly index: number;
  /** As the server gave it: a probability or a logit. Higher fits better. */
  readonly score: number;
}

export interface Reranker extends AsyncDisposable {
  /** The best documents first. Throws HandlerError. */
  readonly rerank: (query: string, documents: readonly string[], options: RerankOptions) => Promise<RankedDocument[]>;
}

const maxAnswerBytes = 16 * 1024 * 1024;
/** How servers that know the path say that they do not speak the dialect of a request. */
const otherDialect: readonly number[] = [400, 422];

export function openReranker(options: RerankerOptions): Reranker {
  const { model } = options;
  const pool = openPool("reranker", options, "/v1/models");
  let dialect = options.dialect === "auto" ? undefined : options.dialect;

  /** Undefined when the server does not speak the dialect and `mayRefuse` lets it say so. */
  const ask = async (
    call: Call,
    question: { query: string; documents: readonly string[]; topN: number | undefined },
    { speak, mayRefuse }: { speak: RerankDialect; mayRefuse: boolean },
  ): Promise<RankedDocument[] | undefined> => {
    const rules = rerankDialects[speak];
    const ranked: RankedDocument[] = [];
    for (let from = 0; from < question.documents.length; from += rules.batch) {
      const documents = question.documents.slice(from, from + rules.batch);
      const topN = question.topN === undefined ? undefined : Math.min(question.topN, documents.length);
      const body = JSON.stringify(rules.body({ model, query: question.query, documents, topN }));
      await using reply = await call.send({
        method: "POST",
        path: rules.path,
        body,
        allow: mayRefuse ? otherDialect : [],
      });
      const text = await readText(reply.body, maxAnswerBytes, reply.from);
      if (reply.status >= 400) return undefined;
      const answer = parseJson(text, reply.from);
      if (isRecord(answer)) call.note({ model: stringOf(answer["model"]), usage: usageOf(answer["usage"]) });
      for (const { index, score } of checkScores(answer, documents.length)) ranked.push({ index: from + index, score });
    }
    return ranked;
  };

  const findDialect = async (
    call: Call,
    question: { query: string; documents: readonly string[]; topN: number | undefined },
  ): Promise<RankedDocument[]> => {
    for (const speak of rerankProbeOrder) {
      const ranked = await ask(call, question, { speak, mayRefuse: true }).catch((reason: unknown) => {
        // Every server was asked: one that does not know the path must not hide a fallback that does.
        if (!(reason instanceof HandlerError) || reason.code !== "not_found") throw reason;
        return undefined;
      });
      if (ranked === undefined) continue;
      dialect = speak;
      return ranked;
    }
    throw new HandlerError(
      "the reranker server speaks none of the known dialects or refuses the request",
      "failed_precondition",
    );
  };

  return {
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
    async rerank(query, documents, { topN, ...callOptions }) {
      if (topN !== undefined && (!Number.isInteger(topN) || topN < 1)) {
        throw new HandlerError("topN must be a whole number of at least 1", "invalid_argument");
      }
      if (documents.length === 0) return [];
      using call = pool.begin({ operation: "rerank", model }, callOptions);
      try {
        const question = { query, documents, topN };
        const ranked =
          dialect === undefined
            ? await findDialect(call, question)
            : ((await ask(call, question, { speak: dialect, mayRefuse: false })) ?? []);
        call.done();
        return ranked.toSorted((a, b) => b.score - a.score || a.index - b.index).slice(0, topN);
      } catch (reason) {
        throw call.failed(reason);
      }
    },
  };
}

function wrong(what: string): HandlerError {
  return new HandlerError(`the reranker server ${what}`, "internal");
}

// I1
function checkScores(answer: unknown, count: number): RankedDocument[] {
  const scores = readScores(answer);
  if (scores === undefined) throw wrong("answered without scores");
  const seen = new Set<number>();
  return scores.map(({ index, score }) => {
    if (typeof index !== "number" || !Number.isInteger(index) || index < 0 || index >= count || seen.has(index)) {
      throw wrong("scored a document that it was not given, or one twice");
    }
    seen.add(index);
    if (score === null) throw wrong("returned NaN"); // what serializers make of NaN
    if (typeof score !== "number" || !Number.isFinite(score)) throw wrong("returned a score that is not a number");
    return { index, score };
  });
}
