import { expect, test } from "vitest";
import { openReranker, type RerankDialect } from "../../src/inference/index.ts";
import { failure, json, plain, startServer, stringsOf, type Recorded } from "./server.ts";

const signal = new AbortController().signal;
const documents = ["a", "bbb", "cc"];
const list = (request: Recorded, field: string): string[] => stringsOf(request.body[field]);
const ranked = [
  { index: 1, score: 3 },
  { index: 2, score: 2 },
  { index: 0, score: 1 },
];

interface Case {
  readonly path: string;
  /** Field that holds the documents. */
  readonly field: string;
  readonly answer: (scores: { index: number; score: number }[]) => unknown;
}

const relevance = (scores: { index: number; score: number }[]): unknown[] =>
  scores.map(({ index, score }) => ({ index, relevance_score: score, document: { text: "…" } }));

const servers: Record<RerankDialect, Case> = {
  cohere: { path: "/v2/rerank", field: "documents", answer: (scores) => ({ id: "1", results: relevance(scores) }) },
  jina: {
    path: "/v1/rerank",
    field: "documents",
    answer: (scores) => ({ model: "m", usage: { total_tokens: 3 }, results: relevance(scores) }),
  },
  vllm: {
    path: "/v1/rerank",
    field: "documents",
    answer: (scores) => ({ id: "1", model: "m", results: relevance(scores) }),
  },
  "vllm-score": {
    path: "/v1/score",
    field: "text_2",
    answer: (scores) => ({ object: "list", data: scores.map((each) => ({ ...each, object: "score" })) }),
  },
  tei: { path: "/rerank", field: "texts", answer: (scores) => scores },
  infinity: {
    path: "/rerank",
    field: "documents",
    answer: (scores) => ({ object: "rerank", results: relevance(scores) }),
  },
};

/** Scores every document by its length, as a server of the dialect does: others' paths are 404, others' bodies 422. */
const startDialect = (dialect: RerankDialect) =>
  startServer((request, response) => {
    const { path, field, answer } = servers[dialect];
    if (request.path !== path) return plain(response, 404, "");
    if (!Array.isArray(request.body[field])) return json(response, { detail: [] }, 422);
    return json(response, answer(list(request, field).map((text, index) => ({ index, score: text.length }))));
  });

const dialects = ["cohere", "jina", "vllm", "vllm-score", "tei", "infinity"] as const;

test.each(dialects)("speaks %s, the best document first", async (dialect) => {
  await using server = await startDialect(dialect);
  await using reranker = openReranker({ urls: [`${server.url}/`], dialect, model: "m" });
  expect(await reranker.rerank("q", documents, { signal })).toEqual(ranked);
  expect(await reranker.rerank("q", documents, { signal, topN: 2 })).toEqual(ranked.slice(0, 2));
});

test.each(dialects)("finds out by itself that a server speaks %s, once", async (dialect) => {
  await using server = await startDialect(dialect);
  await using reranker = openReranker({ urls: [server.url] });
  expect(await reranker.rerank("q", documents, { signal })).toEqual(ranked);
  const before = server.requests.length;
  expect(await reranker.rerank("q", documents, { signal, topN: 1 })).toEqual(ranked.slice(0, 1));
  expect(server.requests).toHaveLength(before + 1);
});

test("reads the bare list of a home-made server that takes documents", async () => {
  await using server = await startServer((request, response) =>
    request.path === "/reranker/rerank" && Array.isArray(request.body["documents"])
      ? json(response, ranked)
      : json(response, {}, 422),
  );
  await using reranker = openReranker({ urls: [`${server.url}/reranker`] });
  expect(await reranker.rerank("q", documents, { signal })).toEqual(ranked);
});

test("asks a TEI server for at most 32 documents at once and numbers them through", async () => {
  await using server = await startDialect("tei");
  await using reranker = openReranker({ urls: [server.url], dialect: "tei" });
  const many = Array.from({ length: 70 }, (_, at) => "x".repeat(at + 1));
  const best = await reranker.rerank("q", many, { signal, topN: 3 });
  expect(best.map((each) => each.index)).toEqual([69, 68, 67]);
  expect(server.requests.map((request) => list(request, "texts").length)).toEqual([32, 32, 6]);
});

test("never sends top_n 0 and asks nobody about nothing", async () => {
  await using server = await startDialect("vllm");
  await using reranker = openReranker({ urls: [server.url], dialect: "vllm" });
  await expect(reranker.rerank("q", documents, { signal, topN: 0 })).rejects.toMatchObject({
    code: "invalid_argument",
  });
  await expect(reranker.rerank("q", documents, { signal, topN: -1 })).rejects.toMatchObject({
    code: "invalid_argument",
  });
  expect(await reranker.rerank("q", [], { signal })).toEqual([]);
  expect(server.requests).toHaveLength(0);
  await reranker.rerank("q", documents, { signal });
  expect(server.requests[0]?.body).not.toHaveProperty("top_n");
});

test.each([
  ["bare NaN", '{"results":[{"index":0,"relevance_score":NaN}]}', /returned NaN/],
  ["null for NaN", { results: [{ index: 0, relevance_score: null }] }, /returned NaN/],
  ["a word", { results: [{ index: 0, relevance_score: "secret" }] }, /not a number/],
  ["an index out of range", { results: [{ index: 3, relevance_score: 1 }] }, /not given/],
  ["a negative index", { results: [{ index: -1, relevance_score: 1 }] }, /not given/],
  [
    "a document twice",
    {
      results: [
        { index: 0, score: 1 },
        { index: 0, score: 1 },
      ],
    },
    /twice/,
  ],
  ["no scores", { secret: 1 }, /without scores/],
])("a server that returns %s is at fault", async (_name, answer, message) => {
  await using server = await startServer((_request, response) => json(response, answer));
  await using reranker = openReranker({ urls: [server.url], dialect: "jina" });
  const error = await failure(reranker.rerank("secret", documents, { signal }));
  expect(error.code).toBe("internal");
  expect(error.message).toMatch(message);
});

test("a server that speaks no known dialect is said to", async () => {
  await using server = await startServer((_request, response) => plain(response, 404, ""));
  await using reranker = openReranker({ urls: [server.url] });
  await expect(reranker.rerank("q", documents, { signal })).rejects.toMatchObject({ code: "failed_precondition" });
});

test("finds the dialect at a fallback when the first server does not know the path", async () => {
  await using first = await startServer((_request, response) => plain(response, 404, ""));
  await using second = await startDialect("tei");
  await using reranker = openReranker({ urls: [first.url, second.url] });
  expect(await reranker.rerank("q", documents, { signal })).toEqual(ranked);
});
