// Lines that are written during a call: on stderr with the ids of its trace, once a collector is there.
import { create, toBinary } from "@bufbuild/protobuf";
import { headers } from "@nats-io/nats-core";
import { expect, test } from "vitest";
import { bind } from "../../src/bind.ts";
import type { Incoming } from "../../src/call.ts";
import { createDispatcher } from "../../src/dispatch.ts";
import { createClock } from "../../src/live-call.ts";
import { createLogger, type LogRecord } from "../../src/log.ts";
import { installation } from "../../src/names.ts";
import { createTelemetry } from "../../src/telemetry/index.ts";
import { EchoRequestSchema, EchoService } from "../gen/echo/v1/echo_pb.ts";
import { echo } from "../support/echo.ts";
import { startCollector } from "./collector.ts";
import { baseConfig } from "./support.ts";

const silentSink = { frame: () => undefined, finish: () => undefined, fail: () => undefined, abandon: () => undefined };

test("a line of a call has the ids of its trace; a line of no call has none", async () => {
  await using collector = await startCollector();
  const lines: LogRecord[] = [];
  const telemetry = createTelemetry({
    name: "echo",
    version: "1.0.0",
    config: baseConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, INSTALLATION: "blue" }),
    log: createLogger({ sink: () => undefined }),
    instanceId: "i-1",
    sink: (line) => lines.push(line),
  });
  const log = createLogger({ sink: telemetry.logSink });
  const base = echo();
  const methods = new Map(base.methods);
  methods.set("say", {
    kind: "unary",
    async handle(_request, context) {
      context.log.info({ prompt: "secret question" }, "before");
      await Promise.resolve();
      context.log.warn({}, "after");
      return {};
    },
  });
  const [method] = bind({ service: EchoService, methods }, installation("")).methods;
  if (method === undefined) throw new Error("no method");
  const dispatcher = createDispatcher({
    middleware: (_call, next) => next(),
    once: undefined,
    ordering: undefined,
    observer: telemetry.observer,
    claimCheck: undefined,
    clock: createClock(),
    log,
  });
  const given = headers();
  given.set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  const incoming: Incoming = {
    method,
    way: "request",
    subject: "echo.v1.EchoService.Say",
    pattern: undefined,
    data: toBinary(EchoRequestSchema, create(EchoRequestSchema, { requestId: "l1" })),
    headers: given,
    replyTo: undefined,
    attempt: 1,
    lastAttempt: true,
    publishedAt: Date.now(),
    fallbackId: undefined,
  };
  const call = () => dispatcher.dispatch(incoming, { open: () => silentSink, reject: () => undefined });

  await call();
  expect(lines.map(({ fields }) => fields["trace_id"])).toEqual([undefined, undefined]);
  lines.length = 0;
  await telemetry.start();
  log.info({}, "between");
  await call();
  await telemetry.close(AbortSignal.timeout(10_000));
  log.info({}, "at the end");
  const [span] = collector.spans;
  const ids = { trace_id: "0af7651916cd43dd8448eb211c80319c", span_id: span?.spanId };
  expect(lines.map(({ message, fields: { trace_id, span_id } }) => ({ message, trace_id, span_id }))).toEqual([
    { message: "between" },
    { message: "before", ...ids },
    { message: "after", ...ids },
    { message: "at the end" },
  ]);
  expect(collector.logs.map(({ body, severity }) => [body, severity])).toEqual([
    ["between", "info"],
    ["before", "info"],
    ["after", "warn"],
  ]);
  expect(collector.resources[0]).toMatchObject({
    "service.name": "echo",
    "service.namespace": "blue",
    "service.instance.id": "i-1",
  });
  for (const { bytes } of collector.requests) expect(bytes.includes("secret")).toBe(false);
});
