import { expect, test } from "vitest";
import type { HandlerError } from "../../src/error.ts";
import { openEmbeddings, type EmbeddingsOptions } from "../../src/inference/index.ts";
import { failure, json, plain, startServer, stringsOf, type Recorded } from "./server.ts";

const signal = new AbortController().signal;
const texts = (request: Recorded): string[] => stringsOf(request.body["input"] ?? request.body["inputs"]);
const vectorOf = (text: string): number[] => [text.length, text.codePointAt(0) ?? 0];
const base64 = (values: number[]): string => Buffer.from(new Float32Array(values).buffer).toString("base64");

async function fails(answer: unknown, options: Partial<EmbeddingsOptions> = {}): Promise<HandlerError> {
  await using server = await startServer((_request, response) => json(response, answer));
  await using embeddings = openEmbeddings({ urls: [server.url], ...options });
  return await failure(embeddings.embed(["secret"], { signal }));
}

test("asks in batches of at most 32 and puts the vectors in the texts' order", async () => {
  await using server = await startServer((request, response) =>
    json(response, {
      data: texts(request)
        .map((text, index) => ({ object: "embedding", index, embedding: vectorOf(text) }))
        .toReversed(),
      model: "m",
    }),
  );
  await using embeddings = openEmbeddings({ urls: [server.url], model: "m" });
  const input = Array.from({ length: 70 }, (_, at) => "x".repeat(at + 1));
  const vectors = await embeddings.embed(input, { signal });
  expect(vectors.map((vector) => vector[0])).toEqual(input.map((text) => text.length));
  expect(server.requests.map((request) => texts(request).length)).toEqual([32, 32, 6]);
  expect(server.requests[0]).toMatchObject({
    path: "/v1/embeddings",
    body: { model: "m", encoding_format: "float" },
  });
  expect(await embeddings.embed([], { signal })).toEqual([]);
  expect(server.requests).toHaveLength(3);
});

test("reads base64 vectors and asks for them where told to", async () => {
  await using server = await startServer((_request, response) =>
    json(response, { data: [{ index: 0, embedding: base64([1.5, -2]) }] }),
  );
  await using embeddings = openEmbeddings({ urls: [server.url], encoding: "base64", dimensions: 2 });
  expect(await embeddings.embed(["a"], { signal })).toEqual([new Float32Array([1.5, -2])]);
  expect(server.requests[0]?.body).toMatchObject({ encoding_format: "base64", dimensions: 2 });
});

test("speaks TEI's own dialect, found out by itself or told", async () => {
  await using server = await startServer((request, response) =>
    request.path === "/embed" ? json(response, texts(request).map(vectorOf)) : plain(response, 404, ""),
  );
  for (const dialect of ["auto", "tei"] as const) {
    await using embeddings = openEmbeddings({ urls: [server.url], dialect });
    expect(await embeddings.embed(["ab"], { signal })).toEqual([new Float32Array([2, 97])]);
    expect(await embeddings.embed(["b"], { signal })).toEqual([new Float32Array([1, 98])]);
  }
  expect(server.requests.map((request) => request.path)).toEqual([
    "/v1/embeddings",
    "/embed",
    "/embed",
    "/embed",
    "/embed",
  ]);
});

test.each([
  ["a bare NaN", '{"data":[{"index":0,"embedding":[0.1,NaN]}]}', /returned NaN/],
  ["a bare Infinity", '{"data":[{"index":0,"embedding":[-Infinity, 1]}]}', /returned -Infinity/],
  ["null for NaN", { data: [{ index: 0, embedding: [0.1, null] }] }, /returned NaN/],
  ["NaN in base64", { data: [{ index: 0, embedding: base64([Number.NaN]) }] }, /returned NaN/],
  ["a number beyond float32", { data: [{ index: 0, embedding: [1e300] }] }, /returned Infinity/],
  [
    "too many",
    {
      data: [
        { index: 0, embedding: [1] },
        { index: 1, embedding: [1] },
      ],
    },
    /2 vectors for 1/,
  ],
  ["too few", { data: [] }, /0 vectors for 1/],
  ["a wrong index", { data: [{ index: 3, embedding: [1] }] }, /wrongly/],
  ["words", { data: [{ index: 0, embedding: ["secret"] }] }, /not hold numbers/],
  ["half a number", { data: [{ index: 0, embedding: "AAA=" }] }, /not base64/],
  ["nothing", { data: [{ index: 0 }] }, /without vectors/],
  ["an empty vector", { data: [{ index: 0, embedding: [] }] }, /empty vector/],
  ["another object", { secret: 1 }, /without vectors/],
])("a server that returns %s is at fault", async (_name, answer, message) => {
  const error = await fails(answer);
  expect(error.message).toMatch(message);
  expect(error.code).toBe("internal");
});

test("a vector of another length is refused, against the configured one and against the first one seen", async () => {
  expect((await fails({ data: [{ index: 0, embedding: [1, 2] }] }, { dimensions: 3 })).message).toMatch(
    /2 dimensions where 3/,
  );
  await using server = await startServer((_request, response, count) =>
    json(response, { data: [{ index: 0, embedding: Array(count).fill(1) }] }),
  );
  await using embeddings = openEmbeddings({ urls: [server.url] });
  await embeddings.embed(["a"], { signal });
  await expect(embeddings.embed(["b"], { signal })).rejects.toThrow(/2 dimensions where 1/);
});

test("HTML, an empty body and a refused batch are told apart", async () => {
  await using server = await startServer((_request, response) => plain(response, 200, "<html>secret"));
  await using embeddings = openEmbeddings({ urls: [server.url], dialect: "openai" });
  await expect(embeddings.embed(["a"], { signal })).rejects.toMatchObject({ code: "unavailable" });
  server.script = (_request, response) => json(response, { error: "secret", error_type: "Validation" }, 413);
  await expect(embeddings.embed(["a"], { signal })).rejects.toThrow(/too large: HTTP 413 \(Validation\)/);
});

test("a wrong answer teaches no length", async () => {
  await using server = await startServer((_request, response, count) =>
    json(response, { data: [{ index: 0, embedding: count === 1 ? [] : [1, 2] }] }),
  );
  await using embeddings = openEmbeddings({ urls: [server.url] });
  await expect(embeddings.embed(["a"], { signal })).rejects.toThrow(/empty vector/);
  expect(await embeddings.embed(["a"], { signal })).toHaveLength(1);
  expect(() => openEmbeddings({ urls: [server.url], batchSize: 0 })).toThrow(/at least 1/);
});

test("finds the dialect at a fallback when the first server does not know the path", async () => {
  await using first = await startServer((_request, response) => plain(response, 404, ""));
  await using second = await startServer((request, response) =>
    request.path === "/v1/embeddings"
      ? json(response, { data: [{ index: 0, embedding: [1] }] })
      : plain(response, 404, ""),
  );
  await using embeddings = openEmbeddings({ urls: [first.url, second.url] });
  expect(await embeddings.embed(["a"], { signal })).toEqual([new Float32Array([1])]);
  await using nobody = openEmbeddings({ urls: [first.url] });
  expect(await failure(nobody.embed(["a"], { signal }))).toMatchObject({ code: "not_found" });
});
