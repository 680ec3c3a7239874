// `/v1/rerank` and `/rerank`: documents (Jina, Cohere, vLLM, Infinity) or texts (TEI, which wants a bare list back).
import { randomUUID } from "node:crypto";
import type { RerankEngine } from "../engines.ts";
import { isRecord, listOf, stringOf, type JsonRecord } from "../json.ts";
import { badRequest } from "./api-error.ts";
import type { Exchange } from "./exchange.ts";

const maxDocuments = 1000;

export interface RerankRequest {
  readonly query: string;
  readonly documents: readonly string[];
  readonly topN: number;
  readonly returnDocuments: boolean;
  /** TEI's spelling of question and answer. */
  readonly bare: boolean;
}

/** Throws ApiError that names the field. */
export function readRerankRequest(body: JsonRecord): RerankRequest {
  const { query } = body;
  if (typeof query !== "string" || query === "") throw badRequest("query must be a text", "query");
  const bare = body["documents"] === undefined && body["texts"] !== undefined;
  const param = bare ? "texts" : "documents";
  const list = listOf(body[param]);
  if (list === undefined) throw badRequest(`${param} must be a list of texts`, param);
  if (list.length > maxDocuments) throw badRequest(`${param} may hold at most ${maxDocuments}`, param);
  const documents = list.map((each, at) => {
    const text = isRecord(each) ? stringOf(each["text"]) : stringOf(each);
    if (text === undefined) throw badRequest(`${param} must hold texts`, `${param}[${at}]`);
    return text;
  });
  const topN = body["top_n"] ?? 0;
  if (typeof topN !== "number" || !Number.isInteger(topN) || topN < 0)
    throw badRequest("top_n must be a whole number; 0 means all", "top_n");
  return {
    query,
    documents,
    topN: topN === 0 ? documents.length : topN,
    returnDocuments: (bare ? body["return_text"] : body["return_documents"]) === true,
    bare,
  };
}

export async function answerRerank(exchange: Exchange, engine: RerankEngine, request: RerankRequest): Promise<void> {
  const { documents, query, topN, bare, returnDocuments } = request;
  const scores = await engine.score(query, documents, { signal: exchange.signal });
  const best = scores
    .map((score, index) => ({ index, score, text: documents[index] ?? "" }))
    .toSorted((a, b) => b.score - a.score || a.index - b.index)
    .slice(0, topN);
  if (bare) {
    const rows = best.map(({ index, score, text }) => ({ index, score, ...(returnDocuments && { text }) }));
    exchange.json(200, engine.name, rows);
    return;
  }
  exchange.json(200, engine.name, {
    id: `rerank-${randomUUID()}`,
    model: engine.name,
    results: best.map(({ index, score, text }) => ({
      index,
      relevance_score: score,
      ...(returnDocuments && { document: { text } }),
    })),
    usage: { total_tokens: 0 },
  });
}
