// The language model's client against llama.cpp's own server with a real, if small, model.
import { afterAll, beforeAll, expect, test } from "vitest";
import { openLlm, type Llm, type LlmDelta } from "../src/inference/index.ts";
import { failure } from "../test/inference/server.ts";
import { startPython, type PythonServer } from "./server.ts";

const opened = new AsyncDisposableStack();
let server: PythonServer;
let llm: Llm;
beforeAll(async () => {
  server = await startPython({
    packages: "llama",
    program: "llama_server.py",
    readyPath: "/health",
    readyWithinMs: 120_000,
  });
  opened.use(server);
  llm = opened.use(openLlm({ urls: [`${server.url}/v1`], model: "smollm2" }));
});
afterAll(() => opened.disposeAsync());

const signal = (): AbortSignal => new AbortController().signal;
const question = (content: string, max_tokens: number) => ({
  messages: [{ role: "user" as const, content }],
  max_tokens,
  temperature: 0,
});

test("streams a real answer with its usage, and again on the kept connection", async () => {
  const answers: string[] = [];
  for (let turn = 0; turn < 12; turn++) {
    const deltas = await Array.fromAsync(llm.stream(question("Name three fruits.", 12), { signal: signal() }));
    const texts = deltas.flatMap((each) => ("text" in each ? [each.text] : []));
    expect(texts.length).toBeGreaterThan(3);
    expect(deltas.at(-1)).toMatchObject({ finish: "length", usage: { outputTokens: 12 } });
    answers.push(texts.join(""));
  }
  expect(new Set(answers).size).toBe(1);
});

test("an end by itself is told from one by the limit", async () => {
  const deltas = await Array.fromAsync(
    llm.stream({ ...question("Say: yes. Nothing else.", 200), stop: ["."] }, { signal: signal() }),
  );
  expect(deltas.at(-1)).toMatchObject({ finish: "stop" });
});

test("a prompt that is longer than the context is the caller's fault, and told so", async () => {
  const error = await failure(Array.fromAsync(llm.stream(question("word ".repeat(4000), 5), { signal: signal() })));
  expect(error).toMatchObject({ code: "invalid_argument", retryable: false });
  expect(error.message).toContain("longer than the context");
});

test("a request that makes no sense is refused as such", async () => {
  const run = llm.stream(
    { messages: [{ role: "user", content: "x" }], max_tokens: 4, response_format: { type: "nonsense" } },
    { signal: signal() },
  );
  expect(await failure(Array.fromAsync(run))).toMatchObject({ code: "invalid_argument" });
});

test("a caller that goes away frees the server's only slot", async () => {
  const controller = new AbortController();
  const pieces: LlmDelta[] = [];
  const running = failure(
    (async () => {
      for await (const each of llm.stream(question("Write a very long story.", 900), { signal: controller.signal }))
        pieces.push(each);
    })(),
  );
  await expect.poll(() => pieces.length, { timeout: 60_000 }).toBeGreaterThan(3);
  controller.abort();
  expect(await running).toMatchObject({ code: "canceled" });
  const next = await Array.fromAsync(llm.stream(question("Name a fruit.", 3), { signal: signal() }));
  expect(next.at(-1)).toMatchObject({ finish: "length" });
  expect(pieces.length).toBeLessThan(900);
});

test("two at once are both answered, one after the other", async () => {
  const both = await Promise.all(
    ["Name three fruits.", "Name three animals."].map((each) =>
      Array.fromAsync(llm.stream(question(each, 20), { signal: signal() })),
    ),
  );
  for (const deltas of both)
    expect(deltas.at(-1)).toMatchObject({ finish: expect.stringMatching(/length|stop/) as string });
});

test("the end of the server in mid-stream is a cut answer", async () => {
  const pieces: LlmDelta[] = [];
  const running = failure(
    (async () => {
      for await (const each of llm.stream(question("Write a very long story.", 900), { signal: signal() }))
        pieces.push(each);
    })(),
  );
  await expect.poll(() => pieces.length, { timeout: 60_000 }).toBeGreaterThan(3);
  await server.process.kill();
  const error = await running;
  expect(error).toMatchObject({ code: "unavailable" });
  expect(error.message).toContain("was cut");
  expect(await failure(Array.fromAsync(llm.stream(question("x", 1), { signal: signal() })))).toMatchObject({
    code: "unavailable",
  });
});
