// What becomes of an answer when a part of the service is not available: it goes on without the part and says so, or fails in time.
import { createServer } from "node:net";
import { startNats, type ModelFault, type NatsFixture } from "@pipeline/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { degraded } from "../src/degraded.ts";
import { failure, promptOf, publish, startChat } from "./support/chat.ts";

let nats: NatsFixture;

beforeAll(async () => {
  nats = await startNats();
});
afterAll(async () => {
  await nats[Symbol.asyncDispose]();
});

const query = "When is a failed message tried again?";
const internal: ModelFault = { kind: "status", status: 500 };
/** Generous: what is asserted is that it ends, long before the deadline of two minutes. */
const inTimeMs = 20_000;

/** A port on which nobody listens. */
async function deadUrl(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return `http://127.0.0.1:${address.port}`;
}

describe("reranker", () => {
  test.each<[string, ModelFault]>([
    ["fails", internal],
    ["answers NaN", { kind: "nan" }],
    ["answers HTML", { kind: "html" }],
    ["answers an error with status 200", { kind: "error in 200" }],
    ["never answers", { kind: "silent" }],
  ])("that %s: the order of the search", async (_what, fault) => {
    await using chat = await startChat(nats, { env: { RETRIEVAL_TIMEOUT: "500ms" } });
    chat.model.fail("rerank", fault);
    const { end } = await chat.ask({ query });
    expect(end.degraded).toEqual([degraded.reranker]);
    expect(end.usedRag).toBe(true);
    expect(end.sources[0]).toMatchObject({ title: "Retries", section: "Delay" });
  });

  test("asked for, but not configured", async () => {
    await using chat = await startChat(nats, { env: { RERANKER_URL: "" } });
    expect((await chat.ask({ query })).end.degraded).toEqual([]);
    expect((await chat.ask({ query, enableReranker: true })).end.degraded).toEqual([degraded.noReranker]);
  });

  test("not asked where the request does not want it", async () => {
    await using chat = await startChat(nats);
    await chat.ask({ query, enableReranker: false });
    expect(chat.model.of("rerank")).toEqual([]);
    await chat.ask({ query });
    expect(chat.model.of("rerank")).toHaveLength(1);
  });
});

describe("embeddings", () => {
  test.each<[string, ModelFault]>([
    ["fail", internal],
    ["answer NaN", { kind: "nan" }],
    ["never answer", { kind: "silent" }],
    ["are cut", { kind: "cut" }],
  ])("that %s: words only", async (_what, fault) => {
    await using chat = await startChat(nats, { env: { RETRIEVAL_TIMEOUT: "500ms" } });
    chat.model.fail("embeddings", fault);
    const { end } = await chat.ask({ query });
    expect(end.degraded).toEqual([degraded.embeddings]);
    expect(end.sources[0]).toMatchObject({ title: "Retries", section: "Delay" });
  });

  test("away at the start: ready with words only, by meaning again when they are back", async () => {
    await using chat = await startChat(nats, { prepare: (model) => model.fail("embeddings", internal) });
    const { end } = await chat.ask({ query });
    expect(end).toMatchObject({ usedRag: true, degraded: [degraded.embeddings] });
    chat.model.fail("embeddings", undefined);
    await expect
      .poll(async () => (await chat.ask({ query })).end.degraded, { timeout: inTimeMs, interval: 200 })
      .toEqual([]);
  });

  test("not configured: words only is how it is meant", async () => {
    await using chat = await startChat(nats, { env: { EMBEDDINGS_URL: "" } });
    const { end } = await chat.ask({ query });
    expect(end).toMatchObject({ usedRag: true, degraded: [] });
  });
});

describe("knowledge base", () => {
  test("not reachable: an answer without sources", async () => {
    const env = { KNOWLEDGE_DIR: "", MILVUS_URL: await deadUrl() };
    await using chat = await startChat(nats, { env, model: { script: () => ["I do ", "not know [1]."] } });
    const { end, text } = await chat.ask({ query });
    expect(text).toBe("I do not know.");
    expect(end).toMatchObject({ usedRag: false, sources: [], degraded: [degraded.knowledge] });
    expect(promptOf(chat.model)[0]?.content).not.toContain("Sources:");
  });

  test("none configured: an answer without sources", async () => {
    await using chat = await startChat(nats, { env: { KNOWLEDGE_DIR: "" } });
    expect((await chat.ask({ query })).end.degraded).toEqual([degraded.noKnowledge]);
    expect((await failure(chat.ask({ query, collection: "other" }))).code).toBe("not_found");
  });
});

describe("history", () => {
  test("store lost: an answer without earlier turns, and it says so", async () => {
    const own = await startNats();
    {
      await using chat = await startChat(own);
      const nc = await own.connect();
      await nc.request("$JS.API.STREAM.DELETE.KV_chat_history", new Uint8Array());
      const { end, text } = await chat.ask({ query, userId: "u1", sessionId: "s1" });
      expect(text).not.toBe("");
      expect(end.degraded).toEqual([degraded.historyRead, degraded.historyWrite]);
      expect((await chat.ask({ query })).end.degraded).toEqual([]);
    }
    await own[Symbol.asyncDispose]();
  });

  test("turned off: no turn is kept", async () => {
    await using chat = await startChat(nats, { env: { HISTORY_TURNS: "0" } });
    await chat.ask({ query: "one", userId: "u1", sessionId: "off" });
    await chat.ask({ query: "two", userId: "u1", sessionId: "off" });
    expect(promptOf(chat.model)).toHaveLength(2);
  });
});

describe("speech", () => {
  const speaking = (url: string) => ({ ENABLE_TTS: "true", TTS_URL: url });
  const timeout = { TTS_TIMEOUT: "500ms" };

  test("is in the last chunk and in the whole answer of a request that asks for it", async () => {
    await using chat = await startChat(nats, { env: (url) => ({ ...speaking(url), TTS_VOICE: "ann" }) });
    const { end, chunks } = await chat.ask({ query, enableTts: true });
    expect(Buffer.from(end.audio).toString("latin1", 0, 4)).toBe("RIFF");
    expect(chunks.slice(0, -1).every(({ audio }) => audio.length === 0)).toBe(true);
    expect(chat.model.of("speech")[0]?.body).toMatchObject({
      input: "an answer",
      voice: "ann",
      response_format: "wav",
    });
    const whole = await chat.client.complete({ query, enableTts: true });
    expect(whole.audio.length).toBe(end.audio.length);
    expect((await chat.ask({ query })).end.audio.length).toBe(0);
  });

  test.each<[string, ModelFault]>([
    ["fails", internal],
    ["answers an error with status 200", { kind: "error in 200" }],
    ["answers HTML", { kind: "html" }],
    ["never answers", { kind: "silent" }],
    ["is cut", { kind: "cut" }],
  ])("that %s: text only", async (_what, fault) => {
    await using chat = await startChat(nats, { env: (url) => ({ ...speaking(url), ...timeout }) });
    chat.model.fail("speech", fault);
    const { end, text } = await chat.ask({ query, enableTts: true });
    expect(text).toBe("an answer [1]");
    expect(end.degraded).toEqual([degraded.speech]);
    expect(end.audio.length).toBe(0);
  });

  test("that no message can hold: the event's last piece and final name the object that does", async () => {
    const speech = Buffer.alloc(2_000_000);
    speech.write("RIFF", 0, "latin1");
    speech.write("WAVE", 8, "latin1");
    await using chat = await startChat(nats, {
      model: { speech },
      env: speaking,
    });
    expect((await chat.ask({ query, enableTts: true })).end.audio.length).toBe(speech.length);
    const question = { requestId: "loud", query, enableTts: true, enableStreaming: true };
    const { final, frames, claims } = await publish(nats, "ai.chat.request", question, "ai.chat.response.loud");
    expect(final.audio.length).toBe(0);
    expect(frames.some(({ attempt }) => attempt > 1)).toBe(false);
    expect(claims).toHaveLength(2);
    expect(claims.every((name) => name !== "")).toBe(true);
  });

  test("not enabled: text only", async () => {
    await using chat = await startChat(nats);
    expect((await chat.ask({ query, enableTts: true })).end.degraded).toEqual([degraded.noSpeech]);
  });
});

describe("language model", () => {
  test.each<[string, ModelFault, string]>([
    ["fails", internal, "internal"],
    ["has no replica", { kind: "status", status: 503, contentType: "text/plain", body: "no replica" }, "unavailable"],
    ["answers HTML", { kind: "html" }, "unavailable"],
    ["answers an error with status 200", { kind: "error in 200" }, "unavailable"],
    ["is cut in the middle", { kind: "cut" }, "unavailable"],
    ["never answers", { kind: "silent" }, "unavailable"],
    ["wants other credentials", { kind: "status", status: 401 }, "failed_precondition"],
    ["does not know the model", { kind: "status", status: 404 }, "failed_precondition"],
  ])(
    "that %s: an error in time",
    async (_what, fault, code) => {
      await using chat = await startChat(nats, { env: { LLM_TIMEOUT: "500ms" } });
      chat.model.fail("chat", fault);
      expect((await failure(chat.ask({ query }))).code).toBe(code);
      expect((await failure(chat.client.complete({ query }))).code).toBe(code);
      expect((await failure(chat.client.greet({ userId: "u1", nickname: "Ada" }))).code).toBe(code);
    },
    inTimeMs,
  );

  test("overloaded: RESOURCE_EXHAUSTED with what it said about when to come back", async () => {
    await using chat = await startChat(nats);
    chat.model.fail("chat", { kind: "status", status: 429, headers: { "retry-after": "17" } });
    expect(await failure(chat.ask({ query }))).toMatchObject({ code: "resource_exhausted", retryAfterMs: 17_000 });
  });

  test(
    "not listening, or a name that does not resolve: UNAVAILABLE",
    async () => {
      for (const url of [await deadUrl(), "http://no-such-host.invalid:8000"]) {
        await using chat = await startChat(nats, { env: { LLM_URL: url } });
        expect((await failure(chat.ask({ query }))).code).toBe("unavailable");
      }
    },
    inTimeMs,
  );

  test("down: the next one in the list answers", async () => {
    await using spare = await startChat(nats, { model: { model: "spare" } });
    await spare.service.stop();
    await using chat = await startChat(nats, { env: { LLM_URL: `${await deadUrl()},${spare.model.url}` } });
    expect((await chat.ask({ query })).end.model).toBe("spare");
  });

  test(
    "busy at first: an event is answered by a later attempt, in one final",
    async () => {
      await using chat = await startChat(nats);
      chat.model.say(["all ", "well"]);
      chat.model.fail("chat", { kind: "cut" }, 1);
      const question = { requestId: "later", query, userId: "u1", sessionId: "later", enableStreaming: true };
      const { frames, final } = await publish(nats, "ai.chat.request", question, "ai.chat.response.later");
      expect(final).toMatchObject({ response: "all well" });
      expect(final.error).toBeUndefined();
      const restart = frames.findIndex(({ type }) => type === "restart");
      expect(frames[0]).toMatchObject({ content: "all", attempt: 1 });
      expect(restart).toBeGreaterThan(0);
      expect(
        frames
          .slice(restart)
          .map(({ content }) => content)
          .join(""),
      ).toBe("all well");
      expect(frames.slice(restart).every(({ attempt }) => attempt === 2)).toBe(true);
      await chat.ask({ query: "next", userId: "u1", sessionId: "later" });
      expect(promptOf(chat.model).filter(({ role }) => role === "assistant")).toEqual([
        { role: "assistant", content: "all well" },
      ]);
    },
    inTimeMs,
  );

  test("that stops at its length limit: the answer says so", async () => {
    await using chat = await startChat(nats, { model: { finish: "length" } });
    expect((await chat.ask({ query })).end.degraded).toEqual([degraded.cut]);
  });
});
