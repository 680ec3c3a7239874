// One run of the telemetry bench, in a process of its own: calls go through the dispatcher in memory, so that what differs between the
// variants is telemetry alone. Prints the CPU time of a call, µs.
//   node bench/telemetry/variant/main.ts VARIANT CALLS [COLLECTOR-URL]
import { argv, cpuUsage, stdout } from "node:process";
import { create, toBinary } from "@bufbuild/protobuf";
import { bind } from "../../../packages/handler-base/src/bind.ts";
import type { Incoming } from "../../../packages/handler-base/src/call.ts";
import { defineConfig } from "../../../packages/handler-base/src/config.ts";
import { headersFrom } from "../../../packages/handler-base/src/delivery/incoming.ts";
import { createDispatcher } from "../../../packages/handler-base/src/dispatch.ts";
import { createClock } from "../../../packages/handler-base/src/live-call.ts";
import { createLogger } from "../../../packages/handler-base/src/log.ts";
import { installation } from "../../../packages/handler-base/src/names.ts";
import { createTelemetry } from "../../../packages/handler-base/src/telemetry/index.ts";
import { loadValidator } from "../../../packages/handler-base/src/validation.ts";
import { EchoRequestSchema } from "../../../packages/handler-base/test/gen/echo/v1/echo_pb.ts";
import { echo } from "../../../packages/handler-base/test/support/echo.ts";

const [, , variant = "none", calls = "200000", collector] = argv;
const atOnce = 64;

const log = createLogger({ sink: () => undefined });
const telemetry = createTelemetry({
  name: "echo",
  version: "0.0.0",
  config: defineConfig({}).read(collector === undefined ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT: collector }),
  log,
  instanceId: "bench",
});
const dispatcher = createDispatcher({
  middleware: (_call, next) => next(),
  once: undefined,
  ordering: undefined,
  claimCheck: undefined,
  observer: variant === "none" ? undefined : telemetry.observer,
  clock: createClock(),
  log,
});
const [method] = bind(echo(), installation("")).methods;
if (method === undefined) throw new Error("the echo service has no method");

const given = headersFrom(undefined);
given.set("traceparent", `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0${variant === "unsampled" ? 0 : 1}`);
const incoming: Incoming = {
  method,
  way: "request",
  subject: "echo.v1.EchoService.Say",
  pattern: undefined,
  data: toBinary(EchoRequestSchema, create(EchoRequestSchema, { requestId: "r", userId: "u", text: "x".repeat(900) })),
  headers: given,
  replyTo: undefined,
  attempt: 1,
  lastAttempt: true,
  publishedAt: Date.now(),
  fallbackId: undefined,
};
const sink = { frame: () => undefined, finish: () => undefined, fail: () => undefined, abandon: () => undefined };
const way = { open: () => sink, reject: () => undefined };

async function run(count: number): Promise<void> {
  for (let done = 0; done < count; done += atOnce) {
    await Promise.all(Array.from({ length: atOnce }, async () => dispatcher.dispatch(incoming, way)));
    // Timers and sockets get their turn, as they do in a service.
    if (done % (atOnce * 16) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

await loadValidator();
await telemetry.start();
await run(20_000);
const before = cpuUsage();
await run(Number(calls));
const { user, system } = cpuUsage(before);
stdout.write(`${(user + system) / Number(calls)}\n`);
await telemetry.close(AbortSignal.timeout(2000));
process.exit();
