// Model servers that answer as no model server should: each call ends with an answer that is whole or with a clear error, never with half
// an answer that looks whole, and the service goes on.
import { createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { startModelServer, startNats, type ModelServer, type NatsFixture } from "@pipeline/testkit";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { HandlerError } from "@pipeline/handler-base";
import { failure, startChat, type Chat } from "../support/chat.ts";

type Answer = (socket: Socket) => void;

/** Says what it is told to, byte by byte, whatever it is asked. */
async function startSocketServer() {
  let answer: Answer = (socket) => void socket.destroy();
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
    let asked = "";
    socket.on("data", (data: Buffer) => {
      asked += data.toString("latin1");
      const head = asked.indexOf("\r\n\r\n");
      const length = Number(/content-length: (\d+)/i.exec(asked)?.[1] ?? 0);
      if (head < 0 || asked.length < head + 4 + length) return;
      if (asked.startsWith("POST")) requests.push(asked);
      const isProbe = asked.startsWith("GET");
      asked = "";
      if (isProbe) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
      else answer(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    say: (given: Answer) => void (answer = given),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

let nats: NatsFixture;
let good: ModelServer;
let hostile: Awaited<ReturnType<typeof startSocketServer>>;
let chat: Chat;

beforeAll(async () => {
  nats = await startNats();
  good = await startModelServer();
  hostile = await startSocketServer();
  chat = await startChat(nats, {
    env: { LLM_URL: hostile.url, LLM_TIMEOUT: "1500ms", LLM_IDLE_TIMEOUT: "1500ms", HISTORY_TURNS: "0" },
  });
}, 60_000);
afterEach(async () => {
  // The circuit of the server closes again before the next one.
  hostile.say(whole(events(piece("ok"), stop)));
  for (let tries = 0; ; tries += 1) {
    const answered = await ask().catch(() => undefined);
    if (answered?.response === "ok") return;
    if (tries === 100) throw new Error("the service does not answer any more");
    await sleep(200);
  }
});
afterAll(async () => {
  await chat[Symbol.asyncDispose]();
  await hostile[Symbol.asyncDispose]();
  await good[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
});

const ask = () => chat.client.complete({ query: "s3cret question", enableRag: false });

const piece = (content: unknown) => JSON.stringify({ choices: [{ index: 0, delta: { content } }] });
const stop = JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
const events = (...data: readonly string[]) => [...data, "[DONE]"].map((each) => `data: ${each}\n\n`).join("");
const head = (type: string, ...more: readonly string[]) =>
  ["HTTP/1.1 200 OK", `content-type: ${type}`, ...more, "", ""].join("\r\n");
const stream = head("text/event-stream", "connection: close");
const whole = (body: string | Buffer, start = stream): Answer => {
  const bytes = Buffer.concat([Buffer.from(start), Buffer.from(body)]);
  return (socket) => void socket.end(bytes);
};
const completion = JSON.stringify({
  choices: [{ index: 0, message: { content: "as a whole" }, finish_reason: "stop" }],
});

const right: Readonly<Record<string, readonly [answer: Answer, text: string | RegExp]>> = {
  "mixed line endings": [
    whole(`data: ${piece("a")}\r\rdata: ${piece("b")}\r\n\ndata: ${stop}\n\r\ndata: [DONE]\r\n\r\n`),
    "ab",
  ],
  "a byte order mark": [whole(`\ufeff${events(piece("a"), stop)}`), "a"],
  "comments, ids and retries": [whole(`: hello\n\nid: 7\nretry: 1\n${events(piece("a"), stop)}`), "a"],
  "data over several lines": [whole(events(piece("a").replaceAll(",", ",\ndata: "), stop)), "a"],
  "no blank line at the end": [whole(events(piece("a"), stop).trimEnd()), "a"],
  "a completion in place of a stream": [whole(completion, head("application/json", "connection: close")), "as a whole"],
  "a completion of the wrong content type": [whole(completion, head("text/plain", "connection: close")), "as a whole"],
  "20 000 tiny tokens": [whole(events(...Array.from({ length: 20_000 }, () => piece("t")), stop)), "t".repeat(20_000)],
  "one token of 200 kB": [whole(events(piece("long ".repeat(40_000)), stop)), "long ".repeat(40_000)],
  "2 MB of reasoning": [
    whole(
      events(
        ...Array.from({ length: 20 }, () =>
          JSON.stringify({ choices: [{ delta: { reasoning: "s3cret ".repeat(14_000) } }] }),
        ),
        piece("thought"),
        stop,
      ),
    ),
    "thought",
  ],
  "pieces of the wrong type among good ones": [
    whole(events(piece(7), piece(null), piece(["x"]), '{"choices":null}', '{"choices":[7]}', "{}", piece("a"), stop)),
    "a",
  ],
  "other choices": [
    whole(events(JSON.stringify({ choices: [{ index: 1, delta: { content: "other" } }] }), piece("a"), stop)),
    "a",
  ],
  "numbers of tokens that are none": [
    whole(
      events(
        piece("a"),
        JSON.stringify({ ...JSON.parse(stop), usage: { prompt_tokens: 1.5, completion_tokens: 1e300 } }),
      ),
    ),
    "a",
  ],
  "negative and textual numbers of tokens": [
    whole(
      events(piece("a"), JSON.stringify({ ...JSON.parse(stop), usage: { prompt_tokens: -7, completion_tokens: "9" } })),
    ),
    "a",
  ],
  "half a character in a token": [
    whole(events('{"choices":[{"delta":{"content":"a\\ud83d"}}]}', piece("b"), stop)),
    /^a.?b$/u,
  ],
  "a name of the model that is no text": [
    whole(events(JSON.stringify({ ...JSON.parse(piece("a")), model: 7 }), stop)),
    "a",
  ],
  "bytes that are no UTF-8": [
    whole(
      Buffer.concat([
        Buffer.from('data: {"choices":[{"delta":{"content":"a'),
        Buffer.of(0xff, 0xfe),
        Buffer.from(`"}}]}\n\n${events(stop)}`),
      ]),
    ),
    /^a/,
  ],
  cookies: [whole(events(piece("a"), stop), head("text/event-stream", "set-cookie: s=1", "connection: close")), "a"],
};

test.each(Object.entries(right))("%s: answered", async (_what, [answer, text]) => {
  hostile.say(answer);
  const { response, error } = await ask();
  expect(error).toBeUndefined();
  if (typeof text === "string") expect(response).toBe(text);
  else expect(response).toMatch(text);
  expect(hostile.requests.at(-1)).not.toMatch(/^cookie:/im);
});

const slowly =
  (text: string, everyMs: number): Answer =>
  (socket) => {
    let at = 0;
    const timer = setInterval(() => {
      if (socket.destroyed || at >= text.length) clearInterval(timer);
      else socket.write(text[at++] ?? "");
    }, everyMs);
    socket.on("close", () => clearInterval(timer));
  };

const wrong: Readonly<Record<string, readonly [answer: Answer, code: RegExp]>> = {
  "no HTTP": [(socket) => void socket.end("SSH-2.0-OpenSSH_9.6\r\n"), /unavailable/],
  nothing: [(socket) => void socket.end(), /unavailable/],
  "a head that never ends": [
    (socket) => void socket.write(`HTTP/1.1 200 OK\r\n${"x-pad: y\r\n".repeat(50_000)}`),
    /unavailable/,
  ],
  "one byte every 100 ms": [slowly(stream + events(piece("a"), stop), 100), /unavailable|deadline/],
  "an event stream that is compressed": [
    whole(gzipSync(events(piece("a"), stop)), head("text/event-stream", "content-encoding: gzip", "connection: close")),
    /unavailable/,
  ],
  "a redirect": [
    whole("", "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/s3cret\r\ncontent-length: 0\r\n\r\n"),
    /failed_precondition/,
  ],
  "no content": [whole("", "HTTP/1.1 204 No Content\r\n\r\n"), /unavailable/],
  "JSON that is none": [whole(events('{"choices": s3cret')), /unavailable/],
  "one event of 5 MB": [whole(events(piece("s3cret ".repeat(700_000)), stop)), /resource_exhausted/],
  "a stream without an end": [whole(`data: ${piece("s3cret")}\n\n`), /unavailable/],
  "a stream without a finish reason": [whole(events(piece("a"))), /unavailable/],
  "an error in the middle": [
    whole(events(piece("a"), '{"error":{"message":"s3cret","code":500}}')),
    /unavailable|internal/,
  ],
  "429 for a hundred years": [
    whole("s3cret", "HTTP/1.1 429 Too Many\r\nretry-after: 3153600000\r\nconnection: close\r\n\r\n"),
    /resource_exhausted/,
  ],
  "429 that never was": [
    whole("s3cret", "HTTP/1.1 429 Too Many\r\nretry-after: -1e999\r\nconnection: close\r\n\r\n"),
    /resource_exhausted/,
  ],
  "503 until the first of never": [
    whole("s3cret", "HTTP/1.1 503 Busy\r\nretry-after: Fri, 31 Feb 9999 99:99:99 GMT\r\nconnection: close\r\n\r\n"),
    /unavailable/,
  ],
  "a body shorter than it says": [whole("{}", head("application/json", "content-length: 100")), /unavailable/],
  "a number of choices that is endless": [
    whole(`{"choices":[${"[".repeat(100_000)}`, head("application/json", "connection: close")),
    /unavailable/,
  ],
};

test.each(Object.entries(wrong))("%s: a clear error in time", async (_what, [answer, code]) => {
  hostile.say(answer);
  const error: HandlerError = await failure(ask());
  expect(error.code).toMatch(code);
  expect(error.message).not.toContain("s3cret");
  expect(error.retryAfterMs ?? 0).toBeLessThanOrEqual(86_400_000);
});

test("cut at any byte: the whole answer or an error, never a part", async () => {
  const text = stream + events(piece("one "), piece("two "), piece("three"), stop);
  const cuts = Array.from({ length: 40 }, (_, index) => Math.floor((text.length * index) / 40));
  for (const at of cuts) {
    hostile.say((socket) => {
      socket.write(text.slice(0, at), () => socket.resetAndDestroy());
    });
    const ended = await ask().then(
      ({ response }) => response,
      ({ code }: HandlerError) => code,
    );
    expect(["one two three", "unavailable"]).toContain(ended);
    expect({ at, ended }).toEqual({ at, ended: text.slice(0, at).includes("[DONE]") ? ended : "unavailable" });
  }
}, 60_000);
