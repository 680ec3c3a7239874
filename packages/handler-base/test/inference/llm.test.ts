import { afterEach, expect, test } from "vitest";
import { openLlm, type Llm, type LlmDelta, type LlmOptions } from "../../src/inference/index.ts";
import { answer, event, json, openEvents, plain, startServer, token, type Script, failure } from "./server.ts";

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each[Symbol.asyncDispose]();
});

async function setup(script: Script, options: Partial<LlmOptions> = {}) {
  const server = await startServer(script);
  const llm = openLlm({ urls: [server.url], model: "m", ...options });
  open.push(server, llm);
  return { server, llm };
}

const request = { messages: [{ role: "user" as const, content: "secret words of a user" }] };
const signal = (): AbortSignal => new AbortController().signal;

async function readAll(llm: Llm): Promise<LlmDelta[]> {
  return Array.fromAsync(llm.stream(request, { signal: signal() }));
}

test("streams text and ends with finish reason, usage, model and engine", async () => {
  const { server, llm } = await setup((_request, response) => {
    response.setHeader("x-engine", "count");
    answer(response, ["hel", "lo"], {
      prompt_tokens: 7,
      completion_tokens: 2,
      total_tokens: 9,
      prompt_tokens_details: { cached_tokens: 4 },
    });
  });
  expect(await readAll(llm)).toEqual([
    { text: "hel" },
    { text: "lo" },
    {
      finish: "stop",
      usage: { inputTokens: 7, outputTokens: 2, totalTokens: 9, cachedTokens: 4 },
      model: "m",
      engine: "count",
    },
  ]);
  expect(server.requests[0]?.path).toBe("/v1/chat/completions");
  expect(server.requests[0]?.body).toMatchObject({
    model: "m",
    stream: true,
    stream_options: { include_usage: true },
  });
});

const delta = (value: unknown): string => event({ choices: [{ index: 0, delta: value }] });

test("reads reasoning of both spellings, refusals, tool call fragments and null contents", async () => {
  const { llm } = await setup((_request, response) => {
    openEvents(response);
    response.write(delta({ role: "assistant", content: null }));
    response.write(delta({ reasoning: "a" }));
    response.write(delta({ reasoning_content: "b" }));
    response.write(delta({ refusal: "no" }));
    response.write(delta({ tool_calls: [{ index: 1, id: "t", function: { name: "f", arguments: "" } }] }));
    response.write(delta({ tool_calls: [{ index: 1, function: { arguments: '{"x":' } }] }));
    response.write(event({ choices: [{ index: 1, delta: { content: "another choice" } }] }));
    response.write(event({ choices: [{ index: 0, delta: {}, finish_reason: "tool_calls" }] }));
    response.end(event("[DONE]"));
  });
  expect(await readAll(llm)).toEqual([
    { reasoning: "a" },
    { reasoning: "b" },
    { refusal: "no" },
    { toolCall: { index: 1, id: "t", name: "f", arguments: "" } },
    { toolCall: { index: 1, arguments: '{"x":' } },
    { finish: "tool_calls" },
  ]);
});

test("reads a whole completion of a server that does not stream", async () => {
  const { llm } = await setup((_request, response) =>
    json(response, { model: "m", choices: [{ index: 0, message: { content: "all" }, finish_reason: "stop" }] }),
  );
  expect(await readAll(llm)).toEqual([{ text: "all" }, { finish: "stop", model: "m" }]);
});

test("keeps the connection after a complete stream", async () => {
  const { server, llm } = await setup(async (_request, response) => {
    openEvents(response);
    response.write(token("x", "stop"));
    response.write(event("[DONE]"));
    await new Promise((resolve) => setTimeout(resolve, 20));
    response.end();
  });
  await readAll(llm);
  await new Promise((resolve) => setTimeout(resolve, 100));
  await readAll(llm);
  expect(server.connections()).toBe(1);
});

const cuts: [string, Script, RegExp, string][] = [
  [
    "the socket breaks in the middle",
    (_request, response) => {
      openEvents(response);
      response.write(token("x"), () => response.destroy());
    },
    /was cut/,
    "unavailable",
  ],
  [
    "it ends without [DONE]",
    (_request, response) => {
      openEvents(response);
      response.end(token("x", "stop"));
    },
    /without \[DONE\]/,
    "unavailable",
  ],
  [
    "it ends without a finish reason (llama-cpp-python when another request comes)",
    (_request, response) => {
      openEvents(response);
      response.end(token("x") + event("[DONE]"));
    },
    /without a finish reason/,
    "unavailable",
  ],
  [
    "it is cut in the middle of an event",
    (_request, response) => {
      openEvents(response);
      response.end(`${token("x")}data: {"choices":[{"index":0,"delta":{"content":"secr`);
    },
    /was cut/,
    "unavailable",
  ],
  [
    "an error comes in the stream (vLLM)",
    (_request, response) => {
      openEvents(response);
      response.write(token("x"));
      response.end(event({ error: { message: "secret words", type: "BadRequestError", code: 400 } }));
    },
    /HTTP 400 \(BadRequestError\)/,
    "invalid_argument",
  ],
  [
    "an old flat error comes in the stream",
    (_request, response) => {
      openEvents(response);
      response.write(token("x"));
      response.end(event({ object: "error", message: "secret words", type: "InternalServerError", code: 500 }));
    },
    /HTTP 500/,
    "internal",
  ],
  [
    "an event is no JSON",
    (_request, response) => {
      openEvents(response);
      response.write(token("x"));
      response.end(event("secret garbage"));
    },
    /not JSON/,
    "unavailable",
  ],
];

test.each(cuts)("says so when %s", async (_name, script, message, code) => {
  const { server, llm } = await setup(script);
  const texts: LlmDelta[] = [];
  const error = await failure(
    (async () => {
      for await (const each of llm.stream(request, { signal: signal() })) texts.push(each);
    })(),
  );
  expect(error.message).toMatch(message);
  expect(error.code).toBe(code);
  expect(texts).toEqual([{ text: "x" }]);
  expect(server.requests).toHaveLength(1); // nothing is asked twice after the first byte
});

const refusals: [string, Script, RegExp, string][] = [
  [
    "HTTP 200 with an error body",
    (_request, response) => json(response, { error: { message: "secret", code: 404 } }),
    /HTTP 404/,
    "not_found",
  ],
  [
    "HTTP 200 with an error without code",
    (_request, response) => json(response, { error: "secret" }),
    /an error/,
    "unavailable",
  ],
  [
    "HTML instead of JSON",
    (_request, response) => plain(response, 200, "<html>secret"),
    /HTML instead of JSON/,
    "unavailable",
  ],
  ["an empty body", (_request, response) => plain(response, 200, ""), /empty body/, "unavailable"],
  [
    "an empty stream",
    (_request, response) => {
      openEvents(response);
      response.end();
    },
    /empty body/,
    "unavailable",
  ],
  [
    "400",
    (_request, response) => json(response, { error: { message: "secret", type: "invalid_request_error" } }, 400),
    /HTTP 400 \(invalid_request_error\)/,
    "invalid_argument",
  ],
  [
    "a prompt that is too long",
    (_request, response) =>
      json(response, { error: { message: "This model's maximum context length is 10 tokens; secret" } }, 400),
    /longer than the context/,
    "invalid_argument",
  ],
  ["401", (_request, response) => plain(response, 401, "secret"), /401/, "unauthenticated"],
  ["403", (_request, response) => plain(response, 403, "secret"), /403/, "permission_denied"],
  [
    "404 of the Ray proxy",
    (_request, response) => plain(response, 404, "Path '/secret' not found."),
    /404/,
    "not_found",
  ],
  [
    "408 of Ray Serve",
    (_request, response) => plain(response, 408, "Request timed out after 3.0s."),
    /408/,
    "deadline_exceeded",
  ],
  ["413", (_request, response) => plain(response, 413, ""), /413/, "invalid_argument"],
  ["422", (_request, response) => json(response, { detail: ["secret"] }, 422), /422/, "invalid_argument"],
  ["500", (_request, response) => plain(response, 500, "Internal Server Error"), /500/, "internal"],
  ["502", (_request, response) => plain(response, 502, "<html>"), /502/, "unavailable"],
  [
    "a redirect",
    (_request, response) => plain(response, 302, "", { location: "/elsewhere" }),
    /redirects/,
    "failed_precondition",
  ],
];

test.each(refusals)("maps %s to a code", async (_name, script, message, code) => {
  const { server, llm } = await setup(script);
  const error = await failure(readAll(llm));
  expect(error.message).toMatch(message);
  expect(error.code).toBe(code);
  expect(server.requests).toHaveLength(1);
});

test("asks the same model through any form of its base URL", async () => {
  const { server } = await setup((_request, response) => answer(response, ["x"]));
  for (const path of ["", "/", "/v1", "/v1/", "/llm", "/llm/v1", "/llm/v1/chat/completions"]) {
    await using llm = openLlm({ urls: [`${server.url}${path}`] });
    await readAll(llm);
  }
  expect(server.requests.map((each) => each.path)).toEqual([
    "/v1/chat/completions",
    "/v1/chat/completions",
    "/v1/chat/completions",
    "/v1/chat/completions",
    "/llm/v1/chat/completions",
    "/llm/v1/chat/completions",
    "/llm/v1/chat/completions",
  ]);
});

test("sends credentials, session, request id and trace headers, and none of them in errors", async () => {
  const { server } = await setup((_request, response) => plain(response, 400, ""));
  const url = server.url.replace("http://", "http://user:pa%20ss@");
  await using own = openLlm({ urls: [url] });
  const error = await failure(
    Array.fromAsync(
      own.stream(request, {
        signal: signal(),
        sessionId: "s-1",
        requestId: "bad\r\nx-evil: 1",
        traceHeaders: { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
      }),
    ),
  );
  expect(error.message).not.toMatch(/user:|pa%20ss|pa ss/);
  const headers = server.requests[0]?.headers ?? {};
  expect(headers["authorization"]).toBe(`Basic ${Buffer.from("user:pa ss").toString("base64")}`);
  expect(headers["x-session-id"]).toBe("s-1");
  expect(headers["x-request-id"]).toMatch(/^[0-9a-f]{64}$/);
  expect(headers["x-evil"]).toBeUndefined();
  expect(headers["traceparent"]).toMatch(/^00-/);
});

test("refuses a URL that is none without repeating it", () => {
  expect(() => openLlm({ urls: ["ftp://user:password@h"] })).toThrow(/^the URL of the llm server/);
  expect(() => openLlm({ urls: [] })).toThrow(/no URL/);
});

test("takes a password with a bare percent sign as it stands", async () => {
  const { server } = await setup((_request, response) => answer(response, ["x"]));
  await using own = openLlm({ urls: [server.url.replace("http://", "http://user:50%zz@")] });
  await readAll(own);
  expect(server.requests[0]?.headers["authorization"]).toBe(`Basic ${Buffer.from("user:50%zz").toString("base64")}`);
});
