// The clients against Ray Serve, as it is: what its proxy and replicas do when they are busy, die, come back, or lose their caller.
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { HandlerError } from "../src/error.ts";
import { openEmbeddings, openLlm, type LlmOptions, type RequestEnd } from "../src/inference/index.ts";
import { failure } from "../test/inference/server.ts";
import { startPython, type PythonServer } from "./server.ts";

const opened = new AsyncDisposableStack();
let ray: PythonServer;
beforeAll(async () => void (ray = opened.use(await startRay())));
afterAll(() => opened.disposeAsync());

/** Ready when the application that is deployed last answers. */
const startRay = (env: Record<string, string> = {}): Promise<PythonServer> =>
  startPython({
    packages: "ray",
    program: "ray_app.py",
    readyPath: "/spare/v1/models",
    readyWithinMs: 180_000,
    env: { RAY_AUTH_MODE: "token", RAY_USAGE_STATS_ENABLED: "0", ...env },
  });

let labels = 0;
/** A client, what was reported about each of its calls, and a question of a label of its own. */
function client(options: Partial<LlmOptions> = {}, server = ray) {
  const ends: RequestEnd[] = [];
  const llm = openLlm({
    urls: [`${server.url}/llm`],
    ...options,
    onRequest: () => ({ end: (end) => ends.push({ ...end }) }),
  });
  const ask = (action: string, { count = 10, seconds = 0.02, signal = new AbortController().signal } = {}) => {
    const label = `q${++labels}`;
    const content = `${action} ${label} ${count} ${seconds}`;
    const pieces: string[] = [];
    const read = async (): Promise<string> => {
      for await (const delta of llm.stream({ messages: [{ role: "user", content }] }, { signal })) {
        if ("text" in delta) pieces.push(delta.text);
      }
      return pieces.join("");
    };
    return { label, pieces, done: read() };
  };
  return { ask, ends, [Symbol.asyncDispose]: () => llm[Symbol.asyncDispose]() };
}

const happened = async (event: string, label: string): Promise<number> =>
  (await ray.log()).filter((line) => line === `${event} ${label}`).length;
const until = async (event: string, label: string): Promise<void> =>
  expect.poll(() => happened(event, label), { timeout: 30_000 }).toBe(1);

/** Resolves when the application answers again. */
async function untilUp(): Promise<void> {
  await using patient = client({ headerTimeoutMs: 120_000 });
  await patient.ask("count", { count: 2 }).done;
}

test("streams an answer to its end and embeds texts in their order", async () => {
  await using llm = client();
  expect(await llm.ask("count", { count: 5 }).done).toBe("0 1 2 3 4 ");
  expect(llm.ends).toMatchObject([{ outcome: "ok", attempts: 1, status: 200, responseModel: "counting" }]);
  expect(await llm.ask("wait").done).toBe("waited");
  await using embeddings = openEmbeddings({ urls: [`${ray.url}/embeddings`], batchSize: 2 });
  const { signal } = new AbortController();
  const [a, b, again] = await embeddings.embed(["a", "b", "a"], { signal });
  expect(a).toHaveLength(32);
  expect(again).toEqual(a);
  expect(b).not.toEqual(a);
});

test("tells an unknown application, a failed handler and an exception in mid-stream apart", async () => {
  await using absent = client({ urls: [`${ray.url}/absent`] });
  expect(await failure(absent.ask("count").done)).toMatchObject({ code: "not_found" });
  await using llm = client();
  const refused = await failure(llm.ask("refuse").done);
  expect(refused).toMatchObject({ code: "internal" });
  expect(refused.message).toContain("HTTP 500");
  const cut = llm.ask("raise");
  expect(await failure(cut.done)).toMatchObject({ code: "unavailable" });
  expect(cut.pieces).toEqual(["0 ", "1 ", "2 ", "3 ", "4 "]);
  expect(await happened("start", cut.label)).toBe(1);
});

test("a burst that fits is answered as a whole, although the proxy refuses a part of it at first", async () => {
  let refusedAtFirst = 0;
  for (let burst = 0; burst < 20 && refusedAtFirst === 0; burst++) {
    await using llm = client();
    // two run, one may wait: but each counts as waiting while it is being routed
    const calls = Array.from({ length: 3 }, () => llm.ask("count", { count: 2, seconds: 0.01 }));
    expect(await Promise.all(calls.map((each) => each.done))).toEqual(["0 1 ", "0 1 ", "0 1 "]);
    refusedAtFirst += llm.ends.filter((end) => end.attempts > 1).length;
  }
  expect(refusedAtFirst).toBeGreaterThan(0);
});

/** Takes both slots of the replica; resolves when it works on both. */
async function occupy(seconds: number): Promise<{ done: Promise<string[]> } & AsyncDisposable> {
  const llm = client();
  const running = Array.from({ length: 2 }, () => llm.ask("wait", { count: 1, seconds }));
  const done = Promise.all(running.map((each) => each.done));
  for (const each of running) await until("start", each.label);
  return { done, [Symbol.asyncDispose]: () => llm[Symbol.asyncDispose]() };
}

test("a saturated application is told with the time to come back, and those inside are served", async () => {
  await using inside = await occupy(8);
  await using llm = client();
  const calls = Array.from({ length: 3 }, () => llm.ask("wait", { count: 1, seconds: 0.01 }).done);
  const results = await Promise.allSettled(calls);
  // one may wait for a slot, whichever comes first; the others are refused at once and again
  expect(results.filter((each) => each.status === "fulfilled")).toMatchObject([{ value: "waited" }]);
  const reasons = results.flatMap((each) => (each.status === "rejected" ? [HandlerError.from(each.reason)] : []));
  expect(reasons).toHaveLength(2);
  for (const reason of reasons) {
    expect(reason).toMatchObject({ code: "unavailable", retryable: true, retryAfterMs: 1000 });
    expect(reason.message).toContain("HTTP 503");
  }
  expect(llm.ends.map((end) => end.attempts).slice(0, 2)).toEqual([3, 3]);
  expect(await inside.done).toEqual(["waited", "waited"]);
});

test("what is refused here is answered by the next server", async () => {
  await using inside = await occupy(5);
  await using llm = client({ urls: [`${ray.url}/llm`, `${ray.url}/spare`] });
  const calls = Array.from({ length: 3 }, () => llm.ask("count", { count: 2, seconds: 0.01 }).done);
  expect(await Promise.all(calls)).toEqual(["0 1 ", "0 1 ", "0 1 "]);
  const places = llm.ends.map((end) => end.endpoint ?? "").toSorted((a, b) => (a < b ? -1 : 1));
  expect(places).toEqual([`${ray.url}/llm`, `${ray.url}/spare`, `${ray.url}/spare`]);
  await inside.done;
});

test("a caller that goes away is noticed by the handler, within a stream and before the first byte", async () => {
  await using llm = client();
  const stream = new AbortController();
  const streaming = llm.ask("count", { count: 1000, seconds: 0.05, signal: stream.signal });
  await expect.poll(() => streaming.pieces.length, { timeout: 30_000 }).toBeGreaterThan(2);
  stream.abort();
  expect(await failure(streaming.done)).toMatchObject({ code: "canceled" });
  await until("cancelled", streaming.label);

  const whole = new AbortController();
  const waiting = llm.ask("wait", { count: 60, seconds: 1, signal: whole.signal });
  await until("start", waiting.label);
  whole.abort();
  expect(await failure(waiting.done)).toMatchObject({ code: "canceled" });
  await until("cancelled", waiting.label);
  expect(await llm.ask("count", { count: 2 }).done).toBe("0 1 "); // both slots are free again
});

test("a replica that dies cuts all its streams, and nothing is asked again after the first token", async () => {
  await using llm = client();
  const neighbour = llm.ask("count", { count: 200, seconds: 0.1 });
  await expect.poll(() => neighbour.pieces.length, { timeout: 30_000 }).toBeGreaterThan(0);
  const dying = llm.ask("die", { count: 20, seconds: 0.05 });
  const errors = await Promise.all([failure(dying.done), failure(neighbour.done)]);
  for (const error of errors) {
    expect(error).toMatchObject({ code: "unavailable", retryable: true });
    expect(error.message).toContain("was cut");
  }
  expect(dying.pieces).toHaveLength(10);
  expect(llm.ends.map((end) => end.attempts)).toEqual([1, 1]);
  await untilUp();
  for (const each of [dying, neighbour]) expect(await happened("start", each.label)).toBe(1);
});

test("while a replica starts again, a call ends with its header timeout, goes to the next server, or waits as long as it may", async () => {
  const slowly = join(ray.folder, "start-slowly");
  await writeFile(slowly, "8");
  await using llm = client();
  await failure(llm.ask("die", { count: 2 }).done);

  await using impatient = client({ headerTimeoutMs: 1_500 });
  const error = await failure(impatient.ask("count").done);
  expect(error).toMatchObject({ code: "unavailable", retryable: true });
  expect(error.message).toContain("sent nothing for 1500 ms");

  await using both = client({ urls: [`${ray.url}/llm`, `${ray.url}/spare`], headerTimeoutMs: 1_500 });
  expect(await both.ask("count", { count: 2 }).done).toBe("0 1 ");
  expect(both.ends[0]?.endpoint).toBe(`${ray.url}/spare`);

  await rm(slowly);
  await using patient = client({ headerTimeoutMs: 100_000 });
  expect(await patient.ask("count", { count: 2 }).done).toBe("0 1 ");
  expect(patient.ends).toMatchObject([{ outcome: "ok", status: 200 }]);
});

test("a time limit of the server itself is told: 408 before the first byte, a cut stream after it", async () => {
  await using limited = await startRay({ REQUEST_TIMEOUT_S: "3" });
  await using llm = client({}, limited);
  const whole = await failure(llm.ask("wait", { count: 1, seconds: 30 }).done);
  expect(whole).toMatchObject({ code: "deadline_exceeded" });
  expect(whole.message).toContain("HTTP 408");
  const stream = llm.ask("count", { count: 300, seconds: 0.1 });
  expect(await failure(stream.done)).toMatchObject({ code: "unavailable" });
  expect(stream.pieces.length).toBeGreaterThan(0);
});
