// The OpenTelemetry collector itself: built once from Go modules (otel-collector/), started on a loopback port, and what it took, read from
// the file that it writes.
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { fromJsonString, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { freePorts, startProcess } from "@pipeline/testkit";
import { ExportLogsServiceRequestSchema } from "../test/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.ts";
import { ExportMetricsServiceRequestSchema } from "../test/gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.ts";
import { ExportTraceServiceRequestSchema } from "../test/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import { Span_SpanKind, Status_StatusCode } from "../test/gen/opentelemetry/proto/trace/v1/trace_pb.ts";
import { plain, type PlainAttributes } from "../test/telemetry/collector.ts";
import { cached } from "./cached.ts";
import { run } from "./run.ts";

export interface SpanTaken {
  readonly service: string;
  readonly name: string;
  readonly kind: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty at the root. */
  readonly parentId: string;
  /** Unix nanoseconds. */
  readonly startedAt: bigint;
  readonly error: boolean;
  readonly attributes: PlainAttributes;
}

export interface LogTaken {
  readonly service: string;
  readonly body: string;
  readonly traceId: string;
  readonly spanId: string;
}

export interface MetricTaken {
  readonly service: string;
  readonly name: string;
}

/** Everything that the collector took. */
export interface Taken {
  /** As it stands in the file. */
  readonly text: string;
  readonly spans: readonly SpanTaken[];
  readonly logs: readonly LogTaken[];
  readonly metrics: readonly MetricTaken[];
}

export interface OtelCollector extends AsyncDisposable {
  /** For OTLP over HTTP. */
  readonly url: string;
  /** Ends the collector, so that all of it is in the file, and reads it. */
  readonly end: () => Promise<Taken>;
}

const source = fileURLToPath(new URL("otel-collector/", import.meta.url));
const readyWithinMs = 30_000;
const go = (...args: string[]): Promise<string> => run("go", args, { cwd: source, advice: "install Go 1.26 or newer" });

/** Path of the program. Rejects with an Error that says what to do. */
async function build(): Promise<string> {
  const files = (await readdir(source)).toSorted();
  const folder = await cached({
    name: "otel-collector",
    from: [await go("version"), ...(await Promise.all(files.map((file) => readFile(join(source, file)))))],
    cost: "a minute of compiling, 30 MB",
    make: async (into) => void (await go("build", "-trimpath", "-ldflags=-s -w", "-o", `${into}/`, ".")),
  });
  return join(folder, "otel-collector");
}

/** Resolves when it takes data. */
export async function startOtelCollector(): Promise<OtelCollector> {
  const program = await build();
  await using opened = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "otel-collector-"));
  opened.defer(() => rm(folder, { recursive: true, force: true }));
  const [port = 0] = await freePorts(1);
  const file = join(folder, "taken.jsonl");
  const process = opened.use(
    await startProcess({ command: [program, `--config=yaml:${JSON.stringify(configOf(port, file))}`], cwd: folder }),
  );
  const url = `http://127.0.0.1:${port}`;
  const until = performance.now() + readyWithinMs;
  while (!(await takes(url))) {
    if (!process.running || performance.now() > until)
      throw new Error(`the collector is not ready:\n${process.stderr.slice(-4000)}`);
    await sleep(20);
  }
  const all = opened.move();
  return {
    url,
    async end() {
      process.terminate();
      const { code } = await process.exited;
      if (code !== 0) throw new Error(`the collector ended with ${String(code)}:\n${process.stderr.slice(-4000)}`);
      return read(await readFile(file, "utf8"));
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function configOf(port: number, path: string): object {
  const pipeline = { receivers: ["otlp"], exporters: ["lines"] };
  return {
    receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } } },
    exporters: { lines: { path } },
    service: {
      telemetry: { metrics: { level: "none" } }, // of itself: it would listen on a port for them
      pipelines: { traces: pipeline, metrics: pipeline, logs: pipeline },
    },
  };
}

/** Whether it takes a batch of nothing, which it does not write. */
async function takes(url: string): Promise<boolean> {
  try {
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${url}/v1/traces`, { method: "POST", headers, body: "{}" });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false; // not listening yet
  }
}

function read(text: string): Taken {
  const lines = text.split("\n").filter(Boolean);
  const batches = <D extends DescMessage>(schema: D, member: string): MessageShape<D>[] =>
    lines
      .filter((line) => line.startsWith(`{"${member}":`))
      .map((line) => fromJsonString(schema, line, { ignoreUnknownFields: true }));
  const spans = batches(ExportTraceServiceRequestSchema, "resourceSpans").flatMap(({ resourceSpans }) =>
    resourceSpans.flatMap(({ resource, scopeSpans }) =>
      scopeSpans
        .flatMap((scope) => scope.spans)
        .map((span) => ({
          service: serviceOf(resource),
          name: span.name,
          kind: kinds.get(span.kind) ?? "",
          traceId: id(span.traceId),
          spanId: id(span.spanId),
          parentId: id(span.parentSpanId),
          startedAt: span.startTimeUnixNano,
          error: span.status?.code === Status_StatusCode.ERROR,
          attributes: plain(span.attributes),
        })),
    ),
  );
  const logs = batches(ExportLogsServiceRequestSchema, "resourceLogs").flatMap(({ resourceLogs }) =>
    resourceLogs.flatMap(({ resource, scopeLogs }) =>
      scopeLogs
        .flatMap((scope) => scope.logRecords)
        .map(({ body, traceId, spanId }) => ({
          service: serviceOf(resource),
          body: body?.value.case === "stringValue" ? body.value.value : "",
          traceId: id(traceId),
          spanId: id(spanId),
        })),
    ),
  );
  const metrics = batches(ExportMetricsServiceRequestSchema, "resourceMetrics").flatMap(({ resourceMetrics }) =>
    resourceMetrics.flatMap(({ resource, scopeMetrics }) =>
      scopeMetrics.flatMap((scope) => scope.metrics).map(({ name }) => ({ service: serviceOf(resource), name })),
    ),
  );
  return { text, spans, logs, metrics };
}

const serviceOf = (resource: { attributes: Parameters<typeof plain>[0] } | undefined): string => {
  const name = plain(resource?.attributes)["service.name"];
  return typeof name === "string" ? name : "";
};
const kinds = new Map<number, string>(Object.entries(Span_SpanKind).map(([name, number]) => [number, name]));

/** OTLP's JSON has ids in hex where JSON of protobuf has base64: what was decoded as base64 is hex when it is encoded as that again. */
const id = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
