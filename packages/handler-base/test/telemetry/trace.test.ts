// Traces, metrics and logs as a collector gets them: from the publisher through the service to the servers that it asks.
import { propagation } from "@opentelemetry/api";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { createClient } from "../../src/index.ts";
import { EchoService } from "../gen/echo/v1/echo_pb.ts";
import { until } from "../delivery/support.ts";
import type { ScriptedServer } from "../inference/server.ts";
import { openPublisher } from "../support/publisher.ts";
import { plain, startCollector, type Collector, type SpanSeen } from "./collector.ts";
import { secrets, startModels, startRag } from "./rag.ts";

vi.setConfig({ testTimeout: 120_000 });

let server: NatsFixture;
let models: ScriptedServer;
beforeAll(async () => {
  [server, models] = await Promise.all([startNats(), startModels()]);
});
afterAll(async () => {
  await models[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const traceId = "0af7651916cd43dd8448eb211c80319c";
const publisherSpan = "b7ad6b7169203331";
const traceparent = `00-${traceId}-${publisherSpan}-01`;

/** Starts the service with a collector and waits until it sends. */
async function start(collector: { readonly url: string }, env: Readonly<Record<string, string>> = {}) {
  const service = await startRag(server.url, models.url, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, ...env });
  await until(() => propagation.fields().length > 0); // the SDK has set its propagator
  return service;
}

const parentOf = (spans: readonly SpanSeen[], span: SpanSeen) => spans.find(({ spanId }) => spanId === span.parentId);

/** `parent > child` for every span of a trace. */
const edges = (spans: readonly SpanSeen[]) =>
  spans.map((span) => `${parentOf(spans, span)?.name ?? span.parentId} > ${span.name}`).toSorted();

function expectNoUserText(collector: Collector): void {
  expect(collector.requests.length).toBeGreaterThan(0);
  for (const { bytes } of collector.requests) {
    for (const secret of ["secret", ...secrets]) expect(bytes.includes(secret)).toBe(false);
  }
}

test("one trace leads from a request through the service to every server that it asks", async () => {
  await using collector = await startCollector();
  await using service = await start(collector);
  models.requests.length = 0;
  const publisher = await openPublisher(await server.connect());
  const inbox = publisher.publish(
    "echo.v1.EchoService.Say",
    { requestId: "q1", userId: "u1", text: "secret question" },
    { traceparent, tracestate: "vendor=value" },
  );
  await publisher.wait(inbox);
  expect(publisher.finals(inbox)[0]?.text).toBe("secret answer");
  await service.stop();

  const { spans } = collector;
  expect(new Set(spans.map((span) => span.traceId))).toEqual(new Set([traceId]));
  expect(edges(spans)).toEqual(
    [
      `${publisherSpan} > echo.v1.EchoService/Say`,
      "echo.v1.EchoService/Say > embeddings e5",
      "echo.v1.EchoService/Say > describe",
      "echo.v1.EchoService/Say > search",
      "echo.v1.EchoService/Say > rerank rr",
      "echo.v1.EchoService/Say > chat qwen",
    ].toSorted(),
  );
  const named = (name: string) => spans.find((span) => span.name === name);
  expect(named("echo.v1.EchoService/Say")).toMatchObject({
    kind: "SERVER",
    error: false,
    attributes: {
      "rpc.system.name": "nats",
      "rpc.method": "echo.v1.EchoService/Say",
      "handler.request_id": "q1",
      "handler.attempt": 1,
    },
  });
  const { port } = new URL(models.url);
  expect(named("chat qwen")).toMatchObject({
    kind: "CLIENT",
    attributes: {
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": "openai",
      "gen_ai.request.model": "qwen",
      "gen_ai.request.stream": true,
      "gen_ai.response.model": "m",
      "gen_ai.response.time_to_first_chunk": expect.any(Number) as number,
      "gen_ai.usage.input_tokens": 11,
      "gen_ai.usage.output_tokens": 2,
      "server.address": "127.0.0.1",
      "server.port": Number(port),
      "http.response.status_code": 200,
      "handler.engine": "scripted",
    },
  });
  expect(named("embeddings e5")?.attributes).toMatchObject({
    "gen_ai.operation.name": "embeddings",
    "gen_ai.response.model": "e5-real",
  });
  expect(named("rerank rr")?.attributes).toMatchObject({ "gen_ai.operation.name": "rerank" });
  expect(named("search")?.attributes).toMatchObject({
    "gen_ai.operation.name": "retrieval",
    "db.operation.name": "search",
  });

  // Each server was told the span of its own request.
  const told = models.requests.map(({ headers }) => headers["traceparent"]);
  expect(told).toHaveLength(5);
  for (const name of ["embeddings e5", "describe", "search", "rerank rr", "chat qwen"]) {
    expect(told).toContain(`00-${traceId}-${named(name)?.spanId}-01`);
  }
  expect(models.requests.every(({ headers }) => headers["tracestate"] === "vendor=value")).toBe(true);

  expect(collector.resources[0]).toMatchObject({ "service.name": "echo", "service.version": "1.2.3" });
  const line = collector.logs.find(({ body }) => body === "asked");
  expect(line).toMatchObject({
    traceId,
    spanId: named("echo.v1.EchoService/Say")?.spanId,
    severity: "info",
    attributes: { request_id: "q1", service: "echo" },
  });
  expectNoUserText(collector);
});

test("the typed client's span is the parent, and a streaming handler runs within its own", async () => {
  await using collector = await startCollector();
  await using service = await start(collector);
  const client = createClient(EchoService, await server.connect());
  const frames: string[] = [];
  for await (const frame of client.count({ requestId: "q2", userId: "u1", text: "secret question" })) {
    frames.push(frame.text);
  }
  expect(frames.join("")).toBe("secret answer");
  await expect(client.once({ requestId: "q3", fail: "not_found" })).rejects.toMatchObject({ code: "not_found" });
  await service.stop();
  const { spans } = collector;
  const of = (end: string, kind: string) => spans.find((span) => span.name.endsWith(end) && span.kind === kind);
  const calling = of("/Count", "CLIENT");
  expect(edges(spans.filter((span) => span.traceId === calling?.traceId))).toEqual(
    [
      " > echo.v1.EchoService/Count",
      "echo.v1.EchoService/Count > echo.v1.EchoService/Count",
      "echo.v1.EchoService/Count > chat qwen",
    ].toSorted(),
  );
  expect(of("/Count", "SERVER")?.parentId).toBe(calling?.spanId);
  expect(of("chat qwen", "CLIENT")?.parentId).toBe(of("/Count", "SERVER")?.spanId);
  // A caller's mistake is an error of the caller's span only.
  expect(of("/Once", "CLIENT")).toMatchObject({ error: true, attributes: { "error.type": "not_found" } });
  expect(of("/Once", "SERVER")).toMatchObject({ error: false, attributes: { "error.type": "not_found" } });
  expectNoUserText(collector);
});

test("an event and its retries are in the publisher's trace, under the subject's pattern", async () => {
  await using collector = await startCollector();
  await using service = await start(collector);
  const publisher = await openPublisher(await server.connect(), ["echo.said.>", "echo.counted.>"]);
  publisher.publish(
    "echo.say",
    { requestId: "e1", userId: "u1", text: "secret question", failures: 1 },
    { Traceparent: traceparent }, // as publishers in Go spell it
  );
  await publisher.wait("echo.said.e1");
  const other = traceparent.replace("0af765", "1af765");
  publisher.publish("echo.user.u1.count", { requestId: "e2", text: "secret question" }, { traceparent: other });
  await publisher.wait("echo.counted.e2");
  await service.stop();

  const attempts = collector.spans.filter(({ name }) => name === "process echo.say");
  expect(attempts.map(({ attributes }) => attributes["handler.attempt"])).toEqual([1, 2]);
  for (const attempt of attempts) {
    expect(attempt).toMatchObject({
      kind: "CONSUMER",
      traceId,
      parentId: publisherSpan,
      attributes: {
        "messaging.system": "nats",
        "messaging.operation.name": "process",
        "messaging.destination.template": "echo.say",
        "messaging.consumer.group.name": "echo",
      },
    });
  }
  expect(attempts.map(({ error }) => error)).toEqual([true, false]);
  const [, second] = attempts;
  const chats = collector.spans.filter(({ name }) => name === "chat qwen");
  expect(chats.some(({ parentId }) => parentId === second?.spanId)).toBe(true);
  const counted = collector.spans.find(({ name }) => name === "process echo.user.{user_id}.count");
  expect(counted?.traceId).toBe(`1${traceId.slice(1)}`);
  expectNoUserText(collector);
});

test("a retry that waits in the retry stream is in the same trace", async () => {
  await using collector = await startCollector();
  await using service = await start(collector);
  const publisher = await openPublisher(await server.connect(), ["echo.onced.>"]);
  // Attempts wait 50, 100, … ms: only a wish of the handler's takes one into the retry stream.
  publisher.publish("echo.once", { requestId: "e3", text: "x", failures: 1, retryAfterMs: 2500 }, { traceparent });
  await publisher.wait("echo.onced.e3");
  await service.stop();
  const attempts = collector.spans.filter(({ name }) => name === "process echo.once");
  expect(attempts.map(({ attributes }) => attributes["handler.attempt"])).toEqual([1, 2]);
  expect(attempts.every((each) => each.traceId === traceId && each.parentId === publisherSpan)).toBe(true);
});

test("messages that are no calls have spans, calls and model requests have metrics", async () => {
  await using collector = await startCollector();
  await using service = await start(collector);
  const nc = await server.connect();
  const publisher = await openPublisher(nc);
  await nc.request("echo.v1.EchoService.Say", new Uint8Array([1, 2, 3]), { timeout: 10_000 });
  await publisher.wait(publisher.publish("echo.v1.EchoService.Say", { requestId: "m1", text: "secret question" }));
  await service.stop();
  expect(collector.spans).toContainEqual(
    expect.objectContaining({
      name: "echo.v1.EchoService/Say",
      kind: "SERVER",
      attributes: expect.objectContaining({ "error.type": "invalid_argument" }) as object,
    }),
  );
  const points = (name: string) =>
    collector.metrics.flatMap(({ name: each, data }) => {
      if (each !== name) return [];
      if (data.case === "histogram") {
        return data.value.dataPoints.map(({ attributes, count }) => ({ ...plain(attributes), count: Number(count) }));
      }
      return data.case === "sum" ? data.value.dataPoints.map(({ attributes }) => plain(attributes)) : [];
    });
  expect(points("rpc.server.call.duration")).toEqual(
    expect.arrayContaining([
      { "rpc.system.name": "nats", "rpc.method": "echo.v1.EchoService/Say", count: 1 },
      expect.objectContaining({ "error.type": "invalid_argument", count: 1 }),
    ]),
  );
  expect(points("gen_ai.client.inference.duration")).toEqual([{ "gen_ai.operation.name": "chat", count: 1 }]);
  expect(points("gen_ai.client.embeddings.duration")).toHaveLength(1);
  expect(points("model.tokens")).toContainEqual(expect.objectContaining({ role: "llm", type: "output" }));
  expectNoUserText(collector);
});

test("what is not sampled is not sent, and says so to those after it", async () => {
  await using collector = await startCollector();
  await using service = await start(collector, { OTEL_TRACES_SAMPLER: "parentbased_always_off" });
  models.requests.length = 0;
  const publisher = await openPublisher(await server.connect());
  await publisher.wait(publisher.publish("echo.v1.EchoService.Say", { requestId: "s1", text: "a" }));
  const unsampled = `${traceparent.slice(0, -2)}00`;
  await publisher.wait(
    publisher.publish("echo.v1.EchoService.Say", { requestId: "s2", text: "a" }, { traceparent: unsampled }),
  );
  const told = models.requests.map(({ headers }) => headers["traceparent"]);
  expect(told.every((header) => typeof header === "string" && header.endsWith("-00"))).toBe(true);
  expect(told.filter((header) => header === unsampled)).toHaveLength(4); // a collection is described once
  await service.stop();
  expect(collector.spans).toEqual([]);
  expect(collector.logs.length).toBeGreaterThan(0);
});

for (const [what, answer] of [
  ["that hangs", "hang"],
  ["that refuses", "fail"],
  ["that is gone", undefined],
] as const) {
  test(`a collector ${what} neither fails a call nor holds up the stop`, async () => {
    await using collector = await startCollector(answer ?? "ok");
    if (answer === undefined) await collector[Symbol.asyncDispose]();
    await using service = await start(collector);
    const publisher = await openPublisher(await server.connect());
    for (let call = 0; call < 50; call += 1) {
      const inbox = publisher.publish("echo.v1.EchoService.Say", { requestId: `d${call}`, text: "a" });
      await publisher.wait(inbox);
      expect(publisher.finals(inbox)[0]?.text).toBe("secret answer");
    }
    const before = performance.now();
    await service.stop();
    expect(performance.now() - before).toBeLessThan(20_000); // what the stop gives for closing, times four
  });
}

test("a service after another in one process sends its own telemetry", async () => {
  await using first = await startCollector();
  await (await start(first)).stop();
  await using second = await startCollector();
  await using service = await start(second);
  const publisher = await openPublisher(await server.connect());
  await publisher.wait(publisher.publish("echo.v1.EchoService.Say", { requestId: "p1", text: "a" }));
  await service.stop();
  expect(second.spans.length).toBeGreaterThan(0);
});
