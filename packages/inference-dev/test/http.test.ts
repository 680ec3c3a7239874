import { connect } from "node:net";
import { openEmbeddings, openLlm, openReranker } from "@pipeline/handler-base/inference";
import { describe, expect, test } from "vitest";
import { maxBodyBytes } from "../src/http/body.ts";
import type { ChatEngine, EmbeddingEngine, RerankEngine } from "../src/engines.ts";
import { post, question, saying, serveEngines, until } from "./support/server.ts";

const signal = AbortSignal.timeout(60_000);

const embeddings: EmbeddingEngine = {
  name: "lengths",
  concurrency: 2,
  dimensions: 2,
  embed: async (texts) => ({ vectors: texts.map((text) => Float32Array.of(text.length, -0.5)), tokens: 7 }),
};
const reranker: RerankEngine = {
  name: "by-length",
  concurrency: 2,
  score: async (_query, documents) => documents.map((text) => text.length / 10),
};

describe("chat completions", () => {
  test("stream to the client of handler-base, with finish, usage and engine", async () => {
    await using server = await serveEngines({ chat: saying("It", " is", " this. [1]") });
    for (const url of [server.url, `${server.url}/v1`, `${server.url}/llm`]) {
      await using llm = openLlm({ urls: [url] });
      const deltas = await Array.fromAsync(
        llm.stream({ messages: [{ role: "user", content: "What is it?" }] }, { signal }),
      );
      expect(deltas.flatMap((delta) => ("text" in delta ? [delta.text] : []))).toEqual(["It", " is", " this. [1]"]);
      expect(deltas.at(-1)).toMatchObject({
        finish: "stop",
        engine: "scripted",
        model: "scripted",
        usage: { inputTokens: 3, outputTokens: 3, totalTokens: 6 },
      });
    }
  });

  test("come whole without stream", async () => {
    await using server = await serveEngines({ chat: saying("Yes", ".") });
    const response = await post(`${server.url}/v1/chat/completions`, question);
    expect(response.headers.get("x-engine")).toBe("scripted");
    expect(await response.json()).toMatchObject({
      object: "chat.completion",
      model: "scripted",
      choices: [{ index: 0, message: { role: "assistant", content: "Yes." }, finish_reason: "stop" }],
      usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
    });
  });

  test("stop at max_tokens and say so", async () => {
    await using server = await serveEngines({ chat: saying("a", "b", "c") });
    const ask = async (extra: object) =>
      (await post(`${server.url}/v1/chat/completions`, { ...question, ...extra })).json();
    expect(await ask({ max_tokens: 2 })).toMatchObject({
      choices: [{ message: { content: "ab" }, finish_reason: "length" }],
    });
    expect(await ask({ max_completion_tokens: 3 })).toMatchObject({
      choices: [{ message: { content: "abc" }, finish_reason: "stop" }],
    });
  });

  test("give usage only where it was asked for", async () => {
    await using server = await serveEngines({ chat: saying("a") });
    const text = async (extra: object) =>
      (await post(`${server.url}/v1/chat/completions`, { ...question, stream: true, ...extra })).text();
    expect(await text({})).not.toContain("usage");
    const events = (await text({ stream_options: { include_usage: true } })).trim().split("\n\n");
    expect(events.at(-1)).toBe("data: [DONE]");
    expect(events.at(-2)).toContain('"choices":[],"usage":{"prompt_tokens":3');
    expect(events[0]).toContain('"usage":null');
  });

  test("read the text parts of a message and leave tools' messages out", async () => {
    let seen: unknown;
    const chat: ChatEngine = {
      ...saying(),
      async *answer(turns) {
        seen = turns;
        yield "ok";
      },
    };
    await using server = await serveEngines({ chat });
    await post(`${server.url}/v1/chat/completions`, {
      messages: [
        { role: "developer", content: "be brief" },
        { role: "assistant", content: null },
        { role: "tool", content: "x" },
        {
          role: "user",
          content: [
            { type: "text", text: "a" },
            { type: "text", text: "b" },
          ],
        },
      ],
    });
    expect(seen).toEqual([
      { role: "system", text: "be brief" },
      { role: "assistant", text: "" },
      { role: "user", text: "a\nb" },
    ]);
  });

  test("end the engine's work when the client goes away", async () => {
    let ended = false;
    let made = 0;
    const chat: ChatEngine = {
      name: "endless",
      concurrency: 1,
      async *answer(_turns, { signal: gone }) {
        try {
          for (;;) {
            gone.throwIfAborted();
            made++;
            yield "word ".repeat(1000);
          }
        } finally {
          ended = true;
        }
      },
    };
    await using server = await serveEngines({ chat });
    await using llm = openLlm({ urls: [server.url] });
    const cancel = new AbortController();
    const reading = async () => {
      for await (const _ of llm.stream({ messages: [{ role: "user", content: "?" }] }, { signal: cancel.signal }))
        if (made > 3) cancel.abort();
    };
    await expect(reading()).rejects.toMatchObject({ code: "canceled" });
    await until(() => ended);
    const before = made;
    // the only place of the gate is free again
    const load = await (await fetch(`${server.url}/health`)).json();
    expect(load).toMatchObject({ load: { llm: { running: 0, waiting: 0 } } });
    expect(made).toBe(before);
  });

  test("wait for a reader that does not read", async () => {
    let made = 0;
    const chat: ChatEngine = {
      name: "endless",
      concurrency: 1,
      async *answer(_turns, { signal: gone, maxTokens }) {
        for (; made < maxTokens; made++) {
          gone.throwIfAborted();
          yield "x".repeat(100_000);
        }
      },
    };
    await using server = await serveEngines({ chat });
    const { port, hostname } = new URL(server.url);
    const socket = connect(Number(port), hostname);
    socket.on("error", () => undefined);
    socket.pause();
    const body = JSON.stringify({ ...question, stream: true });
    socket.write(`POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    let last = -1;
    await until(async () => {
      const same = made > 0 && made === last;
      last = made;
      await new Promise((resolve) => setTimeout(resolve, 300));
      return same && made === last;
    });
    expect(made).toBeLessThan(1000); // 2048 pieces of 100 kB would be 200 MB
    socket.destroy();
    await until(async () => {
      const health = (await (await fetch(`${server.url}/health`)).json()) as { load: { llm: { running: number } } };
      return health.load.llm.running === 0;
    });
  });

  test("that break in the middle look broken, not whole", async () => {
    const chat: ChatEngine = {
      ...saying(),
      async *answer() {
        yield "half";
        await Promise.reject(new TypeError("the secret question"));
      },
    };
    await using server = await serveEngines({ chat });
    await using llm = openLlm({ urls: [server.url] });
    const got: string[] = [];
    const reading = async () => {
      for await (const delta of llm.stream({ messages: [{ role: "user", content: "?" }] }, { signal }))
        if ("text" in delta) got.push(delta.text);
    };
    await expect(reading()).rejects.toMatchObject({ code: "unavailable" });
    expect(got).toEqual(["half"]);
    expect(server.log).toEqual(["a stream was cut: TypeError"]);
  });
});

describe("embeddings", () => {
  test("reach the client in both encodings, in order", async () => {
    await using server = await serveEngines({ chat: saying(), embeddings });
    for (const encoding of ["float", "base64"] as const) {
      await using client = openEmbeddings({ urls: [`${server.url}/embeddings`], encoding, batchSize: 2 });
      const vectors = await client.embed(["a", "bbb", "cc"], { signal });
      expect(vectors.map((vector) => [...vector])).toEqual([
        [1, -0.5],
        [3, -0.5],
        [2, -0.5],
      ]);
    }
    const response = await post(`${server.url}/v1/embeddings`, { input: "abc" });
    expect(response.headers.get("x-engine")).toBe("lengths");
    expect(await response.json()).toMatchObject({ object: "list", usage: { prompt_tokens: 7 } });
  });

  test("are 503 with a reason where there is no model", async () => {
    await using server = await serveEngines({ chat: saying() });
    const response = await post(`${server.url}/v1/embeddings`, { input: "abc" });
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({
      error: { code: "no_engine", message: expect.stringContaining("no embedding model") },
    });
  });
});

describe("reranking", () => {
  test("reaches the client in every dialect that the server speaks", async () => {
    await using server = await serveEngines({ chat: saying(), reranker });
    for (const dialect of ["auto", "jina", "vllm", "tei", "infinity"] as const) {
      await using client = openReranker({ urls: [`${server.url}/reranker`], dialect });
      const ranked = await client.rerank("q", ["a", "ccc", "bb"], { signal, topN: 2 });
      expect(ranked.map(({ index }) => index)).toEqual([1, 2]);
      expect(ranked[0]?.score).toBeCloseTo(0.3);
    }
  });

  test("is 404 where there is no engine", async () => {
    await using server = await serveEngines({ chat: saying() });
    await using client = openReranker({ urls: [server.url] });
    await expect(client.rerank("q", ["a"], { signal })).rejects.toMatchObject({ code: "failed_precondition" });
  });
});

describe("bad requests", () => {
  test.each([
    ["chat/completions", "{", "not JSON"],
    ["chat/completions", "[]", "must be a JSON object"],
    ["chat/completions", "\u0000", "not JSON"],
    ["chat/completions", {}, "messages must be a list"],
    ["chat/completions", { messages: [] }, "messages must be a list"],
    ["chat/completions", { messages: ["x"] }, "messages[0] must be an object"],
    ["chat/completions", { messages: [{ role: "robot", content: "x" }] }, "messages[0].role"],
    ["chat/completions", { messages: [{ role: "user", content: 3 }] }, "messages[0].content"],
    ["chat/completions", { messages: [{ role: "user", content: [{ type: "image_url" }] }] }, "parts of type text"],
    ["chat/completions", { messages: [{ role: "system", content: "x" }] }, "last message"],
    ["chat/completions", { ...question, n: 2 }, "n must be 1"],
    ["chat/completions", { ...question, stream: "yes" }, "stream must be"],
    ["chat/completions", { ...question, max_tokens: -1 }, "max_tokens must be"],
    ["embeddings", {}, "input must be"],
    ["embeddings", { input: [] }, "input must be"],
    ["embeddings", { input: [1, 2] }, "must hold texts"],
    ["embeddings", { input: [""] }, "empty text"],
    ["embeddings", { input: Array(2049).fill("x") }, "at most 2048"],
    ["embeddings", { input: "x", encoding_format: "hex" }, "encoding_format"],
    ["embeddings", { input: "x", dimensions: 3 }, "dimensions must be 2"],
    ["rerank", { documents: ["a"] }, "query must be"],
    ["rerank", { query: "q" }, "documents must be"],
    ["rerank", { query: "q", documents: [1] }, "documents must hold texts"],
    ["rerank", { query: "q", documents: ["a"], top_n: -1 }, "top_n must be"],
  ])("%s %j is 400: %s", async (route, body, message) => {
    await using server = await serveEngines({ chat: saying(), embeddings, reranker });
    const response = await post(`${server.url}/v1/${route}`, body);
    expect(response.status).toBe(400);
    expect(response.headers.get("x-engine")).toBe("inference-dev");
    expect(await response.json()).toMatchObject({
      error: { message: expect.stringContaining(message), type: "invalid_request_error", code: null },
    });
  });

  test("a body over the limit is 413, and the server goes on", async () => {
    await using server = await serveEngines({ chat: saying("ok") });
    const url = `${server.url}/v1/chat/completions`;
    const response = await post(url, "x".repeat(maxBodyBytes + 1));
    expect(response.status).toBe(413);
    expect((await post(url, question)).status).toBe(200);
  });

  test("an unknown route is 404 and lists the routes, a wrong method is 405", async () => {
    await using server = await serveEngines({ chat: saying() });
    const unknown = await fetch(`${server.url}/v1/completions`);
    expect(unknown.status).toBe(404);
    expect(await unknown.json()).toMatchObject({
      error: { code: "unknown_route", message: expect.stringContaining("POST /v1/chat/completions") },
    });
    const wrong = await fetch(`${server.url}/llm/v1/chat/completions`);
    expect(wrong.status).toBe(405);
    expect(wrong.headers.get("allow")).toBe("POST");
  });
});

describe("around it", () => {
  test("models, health and the routes of a Ray Serve proxy", async () => {
    await using server = await serveEngines({ chat: saying(), embeddings });
    const json = async (path: string) => (await fetch(server.url + path)).json();
    expect(await json("/v1/models")).toMatchObject({ data: [{ id: "scripted", object: "model" }, { id: "lengths" }] });
    expect(await json("/embeddings/v1/models")).toMatchObject({ object: "list" });
    expect(await json("/health")).toMatchObject({
      status: "ok",
      engines: { llm: "scripted", embeddings: "lengths", reranker: "none" },
    });
    expect(await json("/-/routes")).toEqual({ "/llm": "llm", "/embeddings": "embeddings", "/reranker": "reranker" });
    const healthz = await fetch(`${server.url}/-/healthz`, { headers: { "x-request-id": "r-1" } });
    expect(await healthz.text()).toBe("success");
    expect(healthz.headers.get("x-request-id")).toBe("r-1");
    expect(healthz.headers.get("x-engine")).toBe("inference-dev");
  });

  test("a full queue is 429 with retry-after, what waits is answered in order", async () => {
    const open = Promise.withResolvers<void>();
    const order: string[] = [];
    const chat: ChatEngine = {
      name: "slow",
      concurrency: 1,
      async *answer(turns) {
        order.push(turns.at(-1)?.text ?? "");
        await open.promise;
        yield "done";
      },
    };
    await using server = await serveEngines({ chat }, 2);
    const url = `${server.url}/v1/chat/completions`;
    const load = async () =>
      ((await (await fetch(`${server.url}/health`)).json()) as { load: { llm: { running: number; waiting: number } } })
        .load.llm;
    const calls: Promise<Response>[] = [];
    for (const [at, text] of ["1", "2", "3"].entries()) {
      calls.push(post(url, { messages: [{ role: "user", content: text }] }));
      await until(async () => (await load()).running + (await load()).waiting === at + 1);
    }
    const refused = await post(url, question);
    expect(refused.status).toBe(429);
    expect(refused.headers.get("retry-after")).toBe("1");
    expect(await refused.json()).toMatchObject({ error: { code: "overloaded" } });
    open.resolve();
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(order).toEqual(["1", "2", "3"]);
    expect(await load()).toEqual({ running: 0, waiting: 0 });
  });

  test("a waiting call whose client goes away leaves the queue", async () => {
    const open = Promise.withResolvers<void>();
    let answered = 0;
    const chat: ChatEngine = {
      name: "slow",
      concurrency: 1,
      async *answer() {
        await open.promise;
        answered++;
        yield "done";
      },
    };
    await using server = await serveEngines({ chat });
    const url = `${server.url}/v1/chat/completions`;
    const waiting = async () =>
      ((await (await fetch(`${server.url}/health`)).json()) as { load: { llm: { waiting: number; running: number } } })
        .load.llm;
    const first = post(url, question);
    await until(async () => (await waiting()).running === 1);
    const gone = new AbortController();
    const second = fetch(url, { method: "POST", body: JSON.stringify(question), signal: gone.signal });
    await until(async () => (await waiting()).waiting === 1);
    gone.abort();
    await expect(second).rejects.toThrow("aborted");
    await until(async () => (await waiting()).waiting === 0);
    open.resolve();
    expect((await first).status).toBe(200);
    expect(answered).toBe(1);
  });
});
