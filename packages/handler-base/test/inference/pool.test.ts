import { createServer } from "node:net";
import { afterEach, expect, test } from "vitest";
import { HandlerError } from "../../src/error.ts";
import { openLlm, type LlmOptions, type RequestEnd } from "../../src/inference/index.ts";
import { answer, openEvents, plain, startServer, token, type Script, type ScriptedServer, failure } from "./server.ts";

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each[Symbol.asyncDispose]();
});

async function serve(script: Script): Promise<ScriptedServer> {
  const server = await startServer(script);
  open.push(server);
  return server;
}

/** A client whose `ask` gives the text, and what was reported about each call. */
function client(urls: string[], options: Partial<LlmOptions> = {}) {
  const ends: RequestEnd[] = [];
  const llm = openLlm({ ...options, urls, onRequest: () => ({ end: (end) => ends.push({ ...end }) }) });
  open.push(llm);
  const stream = (signal = new AbortController().signal, deadline?: number) =>
    llm.stream(
      { messages: [{ role: "user", content: "secret" }] },
      { signal, ...(deadline !== undefined && { deadline }) },
    );
  const ask = async (signal?: AbortSignal, deadline?: number): Promise<string> => {
    let text = "";
    for await (const delta of stream(signal, deadline)) if ("text" in delta) text += delta.text;
    return text;
  };
  return { ask, stream, ends };
}

/** A port where nobody listens. */
async function deadUrl(): Promise<string> {
  const server = await startServer(() => undefined);
  await server[Symbol.asyncDispose]();
  return server.url;
}

const ok: Script = (_request, response) => answer(response, ["ok"]);
const never: Script = () => undefined;

test("asks again after a 503 of a burst, with nothing lost", async () => {
  const server = await serve((request, response, count) =>
    count < 3 ? plain(response, 503, "Request dropped due to backpressure") : ok(request, response, count),
  );
  const { ask, ends } = client([server.url]);
  expect(await ask()).toBe("ok");
  expect(ends[0]).toMatchObject({ outcome: "ok", attempts: 3, status: 200, endpoint: server.url });
});

test("gives up after three 503 and says when to come back", async () => {
  const server = await serve((_request, response) => plain(response, 503, "busy"));
  const { ask } = client([server.url]);
  const error = await failure(ask());
  expect(error).toMatchObject({ code: "unavailable", retryAfterMs: 1000, retryable: true });
  expect(server.requests).toHaveLength(3);
});

test("waits as long as Retry-After says", async () => {
  const times: number[] = [];
  const server = await serve((request, response, count) => {
    times.push(performance.now());
    return count === 1 ? plain(response, 429, "", { "retry-after": "1" }) : ok(request, response, count);
  });
  const { ask } = client([server.url]);
  expect(await ask()).toBe("ok");
  expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(950);
});

test("does not wait for a Retry-After that is longer than the deadline or than a call should take", async () => {
  const server = await serve((_request, response) => plain(response, 429, "", { "retry-after": "2" }));
  const { ask } = client([server.url]);
  const error = await failure(ask(undefined, Date.now() + 1_000));
  expect(error).toMatchObject({ code: "resource_exhausted", retryAfterMs: 2000 });
  server.script = (_request, response) => plain(response, 429, "", { "retry-after": "60" });
  expect(await failure(ask())).toMatchObject({ code: "resource_exhausted", retryAfterMs: 60_000 });
  expect(server.requests).toHaveLength(2);
});

test("asks again when a kept connection turns out to be closed, but not when a fresh one breaks", async () => {
  const server = await serve((request, response, count) => {
    if (count === 2) response.destroy();
    else ok(request, response, count);
  });
  const { ask } = client([server.url]);
  expect(await ask()).toBe("ok");
  await new Promise((resolve) => setTimeout(resolve, 100)); // the connection is free again
  expect(await ask()).toBe("ok"); // the second request broke the kept connection, the third answered
  expect(server.requests).toHaveLength(3);
  await using fresh = await startServer((_request, response) => response.destroy());
  const other = client([fresh.url]);
  expect(await failure(other.ask())).toMatchObject({ code: "unavailable" });
  expect(fresh.requests).toHaveLength(1);
});

test("goes to the next server when one refuses connections, fails, or does not know the model", async () => {
  const second = await serve(ok);
  for (const status of [500, 502, 404, 401]) {
    const first = await serve((_request, response) => plain(response, status, ""));
    const { ask, ends } = client([first.url, second.url]);
    expect(await ask()).toBe("ok");
    expect(ends[0]).toMatchObject({ endpoint: second.url, attempts: 2 });
  }
  const { ask } = client([await deadUrl(), second.url]);
  expect(await ask()).toBe("ok");
});

test("does not ask the next server about a request that is itself at fault", async () => {
  const first = await serve((_request, response) => plain(response, 400, ""));
  const second = await serve(ok);
  const { ask } = client([first.url, second.url]);
  expect(await failure(ask())).toMatchObject({ code: "invalid_argument" });
  expect(second.requests).toHaveLength(0);
});

test("goes to the next server when the head of the answer does not come", async () => {
  const first = await serve(never);
  const second = await serve(ok);
  const { ask } = client([first.url, second.url], { headerTimeoutMs: 100 });
  expect(await ask()).toBe("ok");
  await first.requests[0]?.aborted;
});

test("names the host that does not resolve", async () => {
  const { ask } = client(["http://no-such-host.invalid:8000/llm"]);
  const error = await failure(ask());
  expect(error.code).toBe("unavailable");
  expect(error.message).toContain("no-such-host.invalid");
  expect(error.message).not.toContain("secret");
});

test("names the server that refuses connections", async () => {
  const url = await deadUrl();
  const { ask } = client([url]);
  const error = await failure(ask());
  expect(error).toMatchObject({ code: "unavailable" });
  expect(error.message).toContain(url);
});

test("ends at the deadline, before and within the answer", async () => {
  const server = await serve(never);
  const { ask, ends } = client([server.url]);
  expect(await failure(ask(undefined, Date.now() + 100))).toMatchObject({ code: "deadline_exceeded" });
  server.script = (_request, response) => {
    openEvents(response);
    response.write(token("x"));
  };
  expect(await failure(ask(undefined, Date.now() + 300))).toMatchObject({ code: "deadline_exceeded" });
  expect(ends.map((end) => end.outcome)).toEqual(["deadline_exceeded", "deadline_exceeded"]);
  await Promise.all(server.requests.map((request) => request.aborted));
});

test("asks nobody when the deadline has passed or the signal has aborted", async () => {
  const server = await serve(ok);
  const { ask } = client([server.url]);
  expect(await failure(ask(undefined, Date.now() - 1))).toMatchObject({ code: "deadline_exceeded" });
  expect(await failure(ask(AbortSignal.abort()))).toMatchObject({ code: "canceled" });
  expect(server.requests).toHaveLength(0);
});

test("ends when no first token comes though the stream is alive, and when the stream falls silent", async () => {
  const server = await serve((_request, response) => {
    openEvents(response);
    const timer = setInterval(() => response.write(": ping\n\n"), 20);
    response.on("close", () => clearInterval(timer));
  });
  const { ask } = client([server.url], { firstTokenTimeoutMs: 200, idleTimeoutMs: 5_000 });
  expect((await failure(ask())).message).toContain("no token within 200 ms");
  server.script = (_request, response) => {
    openEvents(response);
    response.write(token("x"));
  };
  const silent = client([server.url], { idleTimeoutMs: 100 });
  const error = await failure(silent.ask());
  expect(error).toMatchObject({ code: "unavailable" });
  expect(error.message).toContain("100 ms");
});

test("a slow reader is not taken for a silent server", async () => {
  const server = await serve((request, response, count) => ok(request, response, count));
  const { stream } = client([server.url], { idleTimeoutMs: 50 });
  for await (const delta of stream()) {
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(delta).toBeDefined();
  }
});

const endless: Script = (_request, response) => {
  openEvents(response);
  const timer = setInterval(() => response.write(token("x")), 5);
  response.on("close", () => clearInterval(timer));
};

test("abort and leaving the loop make the server stop", async () => {
  const server = await serve(endless);
  const { stream, ask, ends } = client([server.url]);
  const controller = new AbortController();
  const running = failure(ask(controller.signal));
  while (server.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  controller.abort(new HandlerError("the caller is gone", "canceled"));
  expect((await running).message).toBe("the caller is gone");
  await server.requests[0]?.aborted;

  for await (const delta of stream()) if ("text" in delta) break;
  await server.requests[1]?.aborted;
  expect(ends.map((end) => end.outcome)).toEqual(["canceled", "canceled"]);
});

test("abort makes the server stop also while the reader is busy elsewhere", async () => {
  const server = await serve(endless);
  const { stream } = client([server.url]);
  const controller = new AbortController();
  const reader = stream(controller.signal);
  await reader.next();
  controller.abort();
  await server.requests[0]?.aborted;
  expect(await failure(reader.next())).toMatchObject({ code: "canceled" });
});

test("abort ends a call at once while the connection is still being made", async () => {
  const accepted = Promise.withResolvers<void>();
  const silent = createServer(() => accepted.resolve()); // takes the connection and never answers the TLS handshake
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const address = silent.address();
  const { ask } = client([`https://127.0.0.1:${typeof address === "object" ? address?.port : 0}`], {
    connectTimeoutMs: 3_000,
  });
  const controller = new AbortController();
  const running = failure(ask(controller.signal));
  await accepted.promise;
  const aborted = performance.now();
  controller.abort();
  expect(await running).toMatchObject({ code: "canceled" });
  expect(performance.now() - aborted).toBeLessThan(2_000);
  const late = await failure(
    client([`https://127.0.0.1:${typeof address === "object" ? address?.port : 0}`], { connectTimeoutMs: 100 }).ask(),
  );
  expect(late.message).toMatch(/no connection .* in time/);
  silent.close();
});

test("never has more calls at a server than its limit, serves the waiting in order, refuses beyond the queue", async () => {
  let running = 0;
  let most = 0;
  const server = await serve(async (request, response, count) => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 50));
    running--;
    ok(request, response, count);
  });
  const { ask } = client([server.url], { concurrency: 2, queue: 3 });
  const results = await Promise.allSettled(Array.from({ length: 7 }, async () => ask()));
  expect(most).toBe(2);
  expect(results.slice(0, 5).map((result) => result.status)).toEqual(Array(5).fill("fulfilled"));
  for (const result of results.slice(5)) {
    expect(result).toMatchObject({ reason: { code: "resource_exhausted", retryAfterMs: 1000 } });
  }
});

test("a call that waits for a slot leaves the queue when it is canceled; slots come back after aborts and cuts", async () => {
  const server = await serve(never);
  const { ask } = client([server.url], { concurrency: 1, queue: 1 });
  const first = new AbortController();
  const second = new AbortController();
  const running = failure(ask(first.signal));
  const waiting = failure(ask(second.signal));
  second.abort();
  expect(await waiting).toMatchObject({ code: "canceled" });
  first.abort();
  await running;
  server.script = (request, response, count) => {
    if (count % 2 === 0) {
      openEvents(response);
      response.write(token("x"), () => response.destroy());
    } else ok(request, response, count);
  };
  const outcomes: string[] = [];
  for (let call = 0; call < 6; call++)
    outcomes.push(await ask().catch((reason: unknown) => HandlerError.from(reason).code));
  expect(outcomes.filter((outcome) => outcome === "ok")).toHaveLength(3);
});

test("spills over to the next server when the first one's queue is full", async () => {
  const first = await serve(never);
  const second = await serve(ok);
  const { ask } = client([first.url, second.url], { concurrency: 1, queue: 0 });
  const controller = new AbortController();
  const stuck = failure(ask(controller.signal));
  while (first.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(await ask()).toBe("ok");
  controller.abort();
  await stuck;
});

test("leaves a failing server alone, tries it again later, and uses it again once it works", async () => {
  const server = await serve((_request, response) => plain(response, 500, ""));
  const { ask } = client([server.url], { failuresToOpen: 2, recoveryMs: 200 });
  expect(await failure(ask())).toMatchObject({ code: "internal" });
  expect(await failure(ask())).toMatchObject({ code: "internal" });
  const refused = await failure(ask());
  expect(refused).toMatchObject({ code: "unavailable" });
  expect(refused.retryAfterMs).toBeGreaterThan(0);
  expect(server.requests).toHaveLength(2);
  await new Promise((resolve) => setTimeout(resolve, 250));
  expect(await failure(ask())).toMatchObject({ code: "internal" }); // the trial fails: a longer pause
  expect(await failure(ask())).toMatchObject({ code: "unavailable" });
  expect(server.requests).toHaveLength(3);
  server.script = ok;
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(await ask()).toBe("ok");
  expect(await ask()).toBe("ok");
});

test("a trial of a server that failed is one question", async () => {
  const { ask, ends } = client([await deadUrl()], { failuresToOpen: 1, recoveryMs: 50 });
  await failure(ask());
  await new Promise((resolve) => setTimeout(resolve, 200));
  await failure(ask());
  expect(ends.map((end) => end.attempts)).toEqual([2, 1]); // a refused connection is tried once more, a trial is not
});

test("brings a server back by a probe while the fallback serves: no call waits for it", async () => {
  const url = await deadUrl();
  const fallback = await serve((_request, response) => answer(response, ["fallback"]));
  const { ask, ends } = client([url, fallback.url], { failuresToOpen: 1, recoveryMs: 100 });
  expect(await ask()).toBe("fallback");
  expect(ends[0]?.attempts).toBeGreaterThan(1);
  expect(await ask()).toBe("fallback");
  expect(ends[1]?.attempts).toBe(1); // the open circuit costs no attempt
  await using first = await startServer(
    (request, response) => (request.method === "GET" ? plain(response, 404, "") : answer(response, ["first"])),
    Number(new URL(url).port),
  );
  let text = "";
  for (let tries = 0; tries < 100 && text !== "first"; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    text = await ask();
  }
  expect(text).toBe("first");
  expect(first.requests[0]).toMatchObject({ method: "GET", path: "/v1/models" });
});

test("tells the observer about first byte, first token, usage and engine, and sends its headers", async () => {
  const server = await serve(async (_request, response) => {
    response.setHeader("x-engine", "e");
    answer(response, ["x"], { prompt_tokens: 1, completion_tokens: 2 });
  });
  const ends: RequestEnd[] = [];
  const starts: unknown[] = [];
  await using llm = openLlm({
    urls: [server.url],
    model: "m",
    onRequest: (start) => {
      starts.push(start);
      return { headers: { traceparent: "client-span" }, end: (end) => ends.push(end) };
    },
  });
  const traceHeaders = { traceparent: "parent", baggage: "b" };
  const signal = new AbortController().signal;
  await Array.fromAsync(llm.stream({ messages: [] }, { signal, traceHeaders }));
  expect(starts).toEqual([{ role: "llm", operation: "chat", model: "m", traceHeaders }]);
  expect(ends).toHaveLength(1);
  const [end] = ends;
  expect(end).toMatchObject({ outcome: "ok", engine: "e", responseModel: "m", usage: { totalTokens: 3 } });
  expect(end?.ttfbMs).toBeLessThanOrEqual(end?.firstTokenMs ?? -1);
  expect(end?.firstTokenMs).toBeLessThanOrEqual(end?.durationMs ?? -1);
  expect(server.requests[0]?.headers).toMatchObject({ traceparent: "client-span", baggage: "b" });
});

test("a closed client ends what runs and takes no more", async () => {
  const server = await serve(never);
  const llm = openLlm({ urls: [server.url] });
  const signal = new AbortController().signal;
  const running = failure(Array.fromAsync(llm.stream({ messages: [] }, { signal })));
  while (server.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await llm[Symbol.asyncDispose]();
  expect(await running).toMatchObject({ code: "unavailable" });
  expect(await failure(Array.fromAsync(llm.stream({ messages: [] }, { signal })))).toMatchObject({
    code: "unavailable",
  });
});

test("a publisher's trace headers can neither name a header of the call nor break it", async () => {
  const server = await serve(ok);
  await using llm = openLlm({ urls: [server.url], apiKey: "key" });
  const signal = new AbortController().signal;
  const traceHeaders = {
    authorization: "Bearer stolen",
    baggage: "a=\u{1F600}",
    tracestate: "x\r\ny: z",
    traceparent: "p",
  };
  await Array.fromAsync(llm.stream({ messages: [] }, { signal, traceHeaders }));
  const headers = server.requests[0]?.headers ?? {};
  expect(headers).toMatchObject({ authorization: "Bearer key", traceparent: "p" });
  expect(headers["baggage"]).toBeUndefined();
  expect(headers["tracestate"]).toBeUndefined();
});

test("many calls that fail at once open the circuit for one pause, not for the longest", async () => {
  const server = await serve((_request, response) => plain(response, 500, ""));
  const { ask } = client([server.url], { failuresToOpen: 2, recoveryMs: 200 });
  await Promise.allSettled(Array.from({ length: 16 }, async () => ask()));
  server.script = ok;
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(await ask()).toBe("ok");
});

test("an error whose body never ends is told by its status", async () => {
  const server = await serve((_request, response) => {
    response.writeHead(400, { "content-type": "application/json" });
    const timer = setInterval(() => response.write(" "), 50);
    response.on("close", () => clearInterval(timer));
  });
  const { ask } = client([server.url]);
  expect(await failure(ask())).toMatchObject({ code: "invalid_argument" });
}, 20_000);

test("refuses a concurrency of nothing", () => {
  expect(() => openLlm({ urls: ["http://h"], concurrency: 0 })).toThrow(/at least 1/);
});
