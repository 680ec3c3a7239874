// Telemetry of one service: plain numbers for /metrics always; traces, metrics and logs for a collector where one is configured.
//
// I1  Without a collector a call costs a few additions. What talks to the collector is loaded after readiness, in a chunk of its own.
// I2  Telemetry never fails, delays or ends a call: a collector that is slow or gone loses data and nothing else.
// I3  What users wrote is nowhere in it: names and attributes come from contracts, configuration and codes.
import type { BaseConfig } from "../config/base.ts";
import type { Observer } from "../dispatch.ts";
import { HandlerError } from "../error.ts";
import type { OnRequest } from "../inference/report.ts";
import { stderrSink, type Logger, type LogSink } from "../log.ts";
import { createMetrics } from "./metrics.ts";
import { prometheusText } from "./prometheus.ts";
import type { Tracing } from "./tracing.ts";

export interface TelemetryOptions {
  readonly name: string;
  readonly version: string;
  readonly config: BaseConfig;
  /** Tells problems of telemetry itself: a logger that does not write into this telemetry's `logSink`. */
  readonly log: Logger;
  readonly instanceId: string;
  /** Where log lines go beside the collector. Default: stderr. */
  readonly sink?: LogSink;
}

export interface Telemetry {
  readonly observer: Observer;
  /** For clients of model and vector servers. */
  readonly onRequest: OnRequest;
  /** For `createLogger`: writes lines, with the ids of their trace, and sends them to the collector. */
  readonly logSink: LogSink;
  /** The body of /metrics. */
  readonly prometheus: () => string;
  /** Begins to send, where a collector is configured. Call it after readiness. Never rejects. */
  readonly start: () => Promise<void>;
  /** Sends what is left; resolves at the latest when the signal aborts. Idempotent, never rejects. */
  readonly close: (signal: AbortSignal) => Promise<void>;
}

/** How often the lag of the event loop is looked at, ms. */
const lagEveryMs = 500;

export function createTelemetry(options: TelemetryOptions): Telemetry {
  const { name, version, config, log, sink = stderrSink() } = options;
  const metrics = createMetrics({ service: name, version, installation: config.installation });
  const stopLag = watchLag(metrics.eventLoopLag);
  let tracing: Tracing | undefined;
  let started: Promise<void> | undefined;
  let closed: Promise<void> | undefined;

  const load = async (endpoint: string): Promise<void> => {
    try {
      const { startTracing } = await import("./sdk.ts");
      if (closed === undefined) tracing = startTracing({ ...options, endpoint, registry: metrics.registry });
    } catch (reason) {
      log.error(
        { error: HandlerError.from(reason).cause ?? reason },
        "telemetry could not be started; nothing is sent",
      );
    }
  };

  return {
    observer: {
      around(call, work) {
        metrics.callBegan(call.incoming);
        return tracing ? tracing.around(call, work) : work();
      },
      ended(incoming, call, outcome, durationMs) {
        metrics.messageEnded(incoming, call !== undefined, outcome, durationMs);
        if (call === undefined) tracing?.rejected(incoming, outcome, durationMs);
      },
    },
    onRequest(start) {
      const ended = metrics.modelRequest(start);
      const span = tracing?.onRequest(start);
      if (span === undefined) return { end: ended };
      return {
        ...(span.headers && { headers: span.headers }),
        end(end) {
          ended(end);
          span.end(end);
        },
      };
    },
    logSink(record) {
      sink(tracing ? tracing.log(record) : record);
    },
    prometheus: () => prometheusText(metrics.registry.families),
    start() {
      const { otlpEndpoint, otelDisabled } = config;
      if (otlpEndpoint === undefined || otelDisabled) return Promise.resolve();
      started ??= load(otlpEndpoint);
      return started;
    },
    close(signal) {
      closed ??= (async () => {
        stopLag();
        await started;
        await tracing?.close(signal);
        tracing = undefined;
      })();
      return closed;
    },
  };
}

/** Tells by how much a timer is late, again and again. Gives what ends it. */
function watchLag(tell: (seconds: number) => void): () => void {
  let due = performance.now() + lagEveryMs;
  const timer = setInterval(() => {
    const now = performance.now();
    tell(Math.max(0, now - due) / 1000);
    due = now + lagEveryMs;
  }, lagEveryMs);
  timer.unref();
  return () => clearInterval(timer);
}
