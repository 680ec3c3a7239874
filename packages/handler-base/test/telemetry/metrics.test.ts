// What a service counts, as /metrics tells it: real calls over a real server, without a collector.
import { readFile } from "node:fs/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { startNats } from "@pipeline/testkit";
import { expect, test } from "vitest";
import { bind } from "../../src/bind.ts";
import { createDispatcher } from "../../src/dispatch.ts";
import { HandlerError } from "../../src/error.ts";
import type { RequestEnd } from "../../src/inference/report.ts";
import { createClock } from "../../src/live-call.ts";
import { createLogger } from "../../src/log.ts";
import { installation, names } from "../../src/names.ts";
import { openRequestWay } from "../../src/ways/request-way.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { prometheusText } from "../../src/telemetry/prometheus.ts";
import { createRegistry } from "../../src/telemetry/registry.ts";
import { createTelemetry, type Telemetry } from "../../src/telemetry/telemetry.ts";
import { openEmbeddedStore } from "../../src/vector/index.ts";
import { EchoRequestSchema } from "../gen/echo/v1/echo_pb.ts";
import { echo } from "../support/echo.ts";
import { baseConfig } from "./support.ts";

const log = createLogger({ sink: () => undefined });

const open = (): Telemetry =>
  createTelemetry({
    name: "echo",
    version: "1.0.0",
    config: baseConfig(),
    log,
    instanceId: "i",
    sink: () => undefined,
  });

/** Value of one line of the Prometheus text, by its name and labels. */
function valueOf(text: string, series: string): number | undefined {
  const line = text.split("\n").find((each) => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

const end = (more: Partial<RequestEnd>): RequestEnd => ({
  outcome: "ok",
  durationMs: 30,
  endpoint: "http://127.0.0.1:1",
  attempts: 1,
  status: 200,
  ttfbMs: 5,
  firstTokenMs: undefined,
  responseModel: undefined,
  engine: undefined,
  usage: undefined,
  ...more,
});

test("counts calls by method, way and code, with their times and what is in flight", async () => {
  await using server = await startNats();
  const nc = await server.connect();
  const where = installation("");
  const telemetry = open();
  const clock = createClock();
  const dispatcher = createDispatcher({
    middleware: (_call, next) => next(),
    once: undefined,
    ordering: undefined,
    claimCheck: undefined,
    observer: telemetry.observer,
    clock,
    log,
  });
  for (const method of bind(echo(), where).methods) {
    openRequestWay(method, { dispatcher, queue: "q", log, nc, names: names(where), clock, claimCheck: undefined });
  }
  await nc.flush();
  const caller = await server.connect();
  const say = (more: object) =>
    caller.request(
      "echo.v1.EchoService.Say",
      toBinary(EchoRequestSchema, create(EchoRequestSchema, { requestId: "r", text: "hi", ...more })),
      { timeout: 10_000 },
    );
  const running = say({ delayMs: 300 });
  await say({});
  await say({ fail: "not_found" });
  await caller.request("echo.v1.EchoService.Say", new Uint8Array([1, 2, 3]), { timeout: 10_000 });
  const labels = 'method="echo.v1.EchoService.Say",way="request"';
  const during = telemetry.prometheus();
  expect(valueOf(during, `handler_in_flight{${labels}}`)).toBe(1);
  await running;
  await nc.flush();
  const text = telemetry.prometheus();
  expect(valueOf(text, `handler_in_flight{${labels}}`)).toBe(0);
  expect(valueOf(text, `handler_handled_total{${labels},code="ok"}`)).toBe(2);
  expect(valueOf(text, `handler_handled_total{${labels},code="not_found"}`)).toBe(1);
  expect(valueOf(text, `handler_handled_total{${labels},code="invalid_argument"}`)).toBe(1);
  expect(valueOf(text, `handler_duration_seconds_count{${labels},code="ok"}`)).toBe(2);
  expect(valueOf(text, `handler_duration_seconds_sum{${labels},code="ok"}`)).toBeGreaterThanOrEqual(0.3);
  expect(valueOf(text, `handler_duration_seconds_bucket{${labels},code="ok",le="0.25"}`)).toBe(1);
  expect(valueOf(text, `handler_duration_seconds_bucket{${labels},code="ok",le="+Inf"}`)).toBe(2);
  expect(valueOf(text, 'handler_info{service="echo",version="1.0.0",installation=""}')).toBe(1);
  expect(valueOf(text, "process_resident_memory_bytes")).toBeGreaterThan(1e6);
  expect(text).toMatch(/^# TYPE handler_duration_seconds histogram$/m);
  await telemetry.close(AbortSignal.timeout(1000));
});

test("counts retries, redeliveries and dead letters of events", () => {
  const { registry, messageEnded } = createMetrics({});
  const [method] = bind(echo(), installation("")).methods;
  if (method === undefined) throw new Error("no method");
  const incoming = {
    method,
    way: "event" as const,
    subject: "echo.say",
    pattern: undefined,
    data: new Uint8Array(),
    headers: undefined,
    replyTo: undefined,
    publishedAt: 0,
    fallbackId: undefined,
  };
  const error = new HandlerError("not yet", "unavailable");
  messageEnded({ ...incoming, attempt: 1, lastAttempt: false }, false, { ok: false, error }, 1);
  messageEnded({ ...incoming, attempt: 2, lastAttempt: false }, false, { ok: false, error }, 1);
  messageEnded({ ...incoming, attempt: 3, lastAttempt: true }, false, { ok: false, error }, 1);
  const text = prometheusText(registry.families);
  const name = `method="${method.contract.name}"`;
  expect(valueOf(text, `handler_redeliveries_total{${name}}`)).toBe(2);
  expect(valueOf(text, `handler_retries_total{${name},code="unavailable"}`)).toBe(2);
  expect(valueOf(text, `handler_dead_letters_total{${name},cause="unavailable"}`)).toBe(1);
});

test("counts requests to models with their tokens", async () => {
  const telemetry = open();
  const start = { role: "llm", operation: "chat", model: "m", traceHeaders: {} } as const;
  const span = telemetry.onRequest(start);
  expect(valueOf(telemetry.prometheus(), 'model_in_flight{role="llm"}')).toBe(1);
  const usage = { inputTokens: 7, outputTokens: 3, totalTokens: 10, cachedTokens: 2 };
  span?.end(end({ attempts: 2, firstTokenMs: 15, usage }));
  telemetry.onRequest(start)?.end(end({ outcome: "unavailable" }));
  const text = telemetry.prometheus();
  const at = 'role="llm",operation="chat"';
  expect(span?.headers).toBeUndefined();
  expect(valueOf(text, 'model_in_flight{role="llm"}')).toBe(0);
  expect(valueOf(text, `model_request_duration_seconds_count{${at},code="ok"}`)).toBe(1);
  expect(valueOf(text, `model_request_duration_seconds_count{${at},code="unavailable"}`)).toBe(1);
  expect(valueOf(text, `model_first_token_seconds_bucket{${at},le="0.02"}`)).toBe(1);
  expect(valueOf(text, `model_attempts_total{${at}}`)).toBe(3);
  expect(valueOf(text, `model_tokens_total{${at},type="input"}`)).toBe(7);
  expect(valueOf(text, `model_tokens_total{${at},type="output"}`)).toBe(3);
  expect(valueOf(text, `model_tokens_total{${at},type="cached"}`)).toBe(2);
  await telemetry.close(AbortSignal.timeout(1000));
});

test("counts searches of a store inside the process as those of a server", async () => {
  const telemetry = open();
  await using store = openEmbeddedStore({ onRequest: telemetry.onRequest });
  const { signal } = new AbortController();
  await store.create("docs", { dimensions: 0 }, { signal });
  await store.search({ collection: "docs", text: "words", limit: 3 }, { signal });
  await expect(store.search({ collection: "none", text: "words", limit: 3 }, { signal })).rejects.toMatchObject({
    code: "not_found",
  });
  const text = telemetry.prometheus();
  const at = 'role="vector",operation="search"';
  expect(valueOf(text, `model_request_duration_seconds_count{${at},code="ok"}`)).toBe(1);
  expect(valueOf(text, `model_request_duration_seconds_count{${at},code="not_found"}`)).toBe(1);
  await telemetry.close(AbortSignal.timeout(1000));
});

test("every metric is documented", async () => {
  const page = await readFile(new URL("../../../../docs/telemetry.md", import.meta.url), "utf8");
  const { registry } = createMetrics({});
  for (const { name, labels } of registry.families) {
    expect(page).toContain(`\`${name}\``);
    const row = page.split("\n").find((line) => line.includes(`\`${name}\``)) ?? "";
    for (const label of labels) expect(row).toContain(`\`${label}\``);
  }
});

test("holds at most a thousand series of a family, whatever the labels are", () => {
  const { counter, families } = createRegistry();
  const wild = counter("wild_total", "Labels without end.", ["id"]);
  for (let id = 0; id < 5000; id += 1) wild.at(`id-${id}`).value += 1;
  const text = prometheusText(families);
  expect(text.match(/^wild_total\{/gm)).toHaveLength(1001);
  expect(valueOf(text, 'wild_total{id="_other"}')).toBe(4000);
});

test("escapes label values", () => {
  const { counter, families } = createRegistry();
  counter("odd_total", "Odd.", ["label"]).at('a"b\\c\nd').value = 1;
  expect(prometheusText(families)).toContain('odd_total{label="a\\"b\\\\c\\nd"} 1');
});
