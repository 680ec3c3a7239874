// OpenTelemetry's NodeSDK for one service: traces, metrics and logs to a collector, OTLP over HTTP in protobuf. Loaded only where a
// collector is configured; hand-instrumented, because a bundle leaves nothing for automatic instrumentation to patch.
//
// I1  A collector that is slow or gone costs data, never a call: queues are bounded, exports have a time limit, problems are one log line
//     a minute.
// I2  One SDK a process, as OpenTelemetry's interface is one a process.
import { context, diag, DiagLogLevel, logs, metrics, propagation, trace, type DiagLogger } from "@opentelemetry/api";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor } from "@opentelemetry/sdk-logs";
import { PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { NodeSDK } from "@opentelemetry/sdk-node";
import { BatchSpanProcessor } from "@opentelemetry/sdk-trace";
import type { BaseConfig } from "../config/base.ts";
import type { Logger } from "../log.ts";
import { createCallSpans } from "./call-spans.ts";
import { createModelSpans } from "./model-spans.ts";
import { createMetricProducer } from "./otlp-metrics.ts";
import type { Registry } from "./registry.ts";
import { Ids, samplerOf } from "./sampling.ts";
import { createTraceLogs } from "./trace-logs.ts";
import type { Tracing } from "./tracing.ts";

export interface TracingOptions {
  readonly name: string;
  readonly version: string;
  readonly config: BaseConfig;
  readonly log: Logger;
  readonly instanceId: string;
  /** Base URL of the collector. */
  readonly endpoint: string;
  readonly registry: Registry;
}

const exportTimeoutMs = 5000;
const metricsEveryMs = 15_000;
const longestAttribute = 1024;
const complainEveryMs = 60_000;
/** What the end may take, ms: less than closing has, so that what is closed after telemetry is closed in order. */
const flushWithinMs = 3000;

let running = false;

/** Starts the SDK. Throws an Error where one runs in this process already. */
export function startTracing(options: TracingOptions): Tracing {
  if (running) throw new Error("another service of this process sends its telemetry already");
  const { version, config, endpoint, registry } = options;
  const at = (signal: string) => ({ url: `${endpoint}/v1/${signal}`, timeoutMillis: exportTimeoutMs });
  const limits = { exportTimeoutMillis: exportTimeoutMs };
  const sampler = samplerOf(config);
  const ids = new Ids();
  const sdk = new NodeSDK({
    autoDetectResources: false,
    resource: resourceOf(options),
    sampler,
    idGenerator: ids,
    spanLimits: { attributeValueLengthLimit: longestAttribute },
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter(at("traces")), ...limits })],
    metricReaders: [
      new PeriodicExportingMetricReader({
        exporter: new OTLPMetricExporter(at("metrics")),
        exportIntervalMillis: metricsEveryMs,
        metricProducers: [createMetricProducer(registry, version)],
        ...limits,
      }),
    ],
    logRecordProcessors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter(at("logs")), ...limits })],
    instrumentations: [],
  });
  diag.setLogger(complainTo(options.log), { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  sdk.start();
  running = true;

  const scope = "@pipeline/handler-base";
  const tracer = trace.getTracer(scope, version);
  return {
    ...createCallSpans({ tracer, sampler, ids }),
    onRequest: createModelSpans(tracer),
    log: createTraceLogs(logs.getLogger(scope, version)),
    async close(signal) {
      const ends = AbortSignal.any([signal, AbortSignal.timeout(flushWithinMs)]);
      await Promise.race([sdk.shutdown().catch(() => undefined), aborted(ends)]); // I1: diag has told it
      for (const part of [trace, metrics, logs, context, propagation, diag]) part.disable();
      running = false;
    },
  };
}

/** What `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` say goes before what the service says of itself. */
function resourceOf({ name, version, config: { installation }, instanceId }: TracingOptions) {
  const own = resourceFromAttributes({
    "service.name": name,
    "service.version": version,
    "service.instance.id": instanceId,
    ...(installation !== "" && { "service.namespace": installation }),
  });
  return defaultResource()
    .merge(own)
    .merge(detectResources({ detectors: [envDetector] }));
}

function complainTo(log: Logger): DiagLogger {
  let quietUntil = 0;
  const complain = (text: string) => {
    const now = performance.now();
    if (now < quietUntil) return;
    quietUntil = now + complainEveryMs;
    // Errors come as JSON whose first member is the stack.
    const reason = /"message":"([^"]+)"/.exec(text)?.[1] ?? text;
    log.warn({ reason: reason.slice(0, 300) }, "telemetry could not be sent");
  };
  const silent = () => undefined;
  return { error: complain, warn: complain, info: silent, debug: silent, verbose: silent };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
