// A collector for tests: an HTTP server that decodes what it is sent with the official definitions and keeps the bytes.
import { createServer } from "node:http";
import { gunzipSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import { ExportLogsServiceRequestSchema } from "../gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.ts";
import { ExportMetricsServiceRequestSchema } from "../gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.ts";
import { ExportTraceServiceRequestSchema } from "../gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import type { AnyValue, KeyValue } from "../gen/opentelemetry/proto/common/v1/common_pb.ts";
import type { Metric } from "../gen/opentelemetry/proto/metrics/v1/metrics_pb.ts";
import { Span_SpanKind, Status_StatusCode } from "../gen/opentelemetry/proto/trace/v1/trace_pb.ts";

export type Plain = string | number | boolean | null | Plain[] | { [name: string]: Plain };
export type PlainAttributes = Record<string, Plain>;

export interface SpanSeen {
  readonly name: string;
  readonly kind: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly attributes: PlainAttributes;
  readonly error: boolean;
  readonly durationMs: number;
}

export interface LogSeen {
  readonly body: Plain;
  readonly severity: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly attributes: PlainAttributes;
}

export interface Collector extends AsyncDisposable {
  readonly url: string;
  readonly requests: { readonly path: string; readonly bytes: Buffer }[];
  readonly resources: PlainAttributes[];
  readonly spans: SpanSeen[];
  readonly logs: LogSeen[];
  readonly metrics: Metric[];
}

/** `answer`: "ok" takes everything, "hang" never answers, "fail" says that it is overloaded. */
export async function startCollector(answer: "ok" | "hang" | "fail" = "ok"): Promise<Collector> {
  const seen = {
    requests: [] as { path: string; bytes: Buffer }[],
    resources: [] as PlainAttributes[],
    spans: [] as SpanSeen[],
    logs: [] as LogSeen[],
    metrics: [] as Metric[],
  };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const sent = Buffer.concat(chunks);
      const bytes = request.headers["content-encoding"] === "gzip" ? gunzipSync(sent) : sent;
      const path = request.url ?? "";
      seen.requests.push({ path, bytes });
      if (answer === "hang") return;
      if (answer === "fail") {
        response.writeHead(503, { "retry-after": "1" }).end();
        return;
      }
      if (request.headers["content-type"] !== "application/x-protobuf") throw new Error("not protobuf");
      read(path, bytes);
      response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
    });
  });

  const read = (path: string, bytes: Buffer): void => {
    switch (path) {
      case "/v1/traces":
        for (const { resource, scopeSpans } of fromBinary(ExportTraceServiceRequestSchema, bytes).resourceSpans) {
          seen.resources.push(plain(resource?.attributes));
          for (const span of scopeSpans.flatMap(({ spans }) => spans)) {
            seen.spans.push({
              name: span.name,
              kind: kinds.get(span.kind) ?? "",
              traceId: hex(span.traceId),
              spanId: hex(span.spanId),
              parentId: hex(span.parentSpanId),
              attributes: plain(span.attributes),
              error: span.status?.code === Status_StatusCode.ERROR,
              durationMs: Number(span.endTimeUnixNano - span.startTimeUnixNano) / 1e6,
            });
          }
        }
        break;
      case "/v1/metrics":
        for (const { resource, scopeMetrics } of fromBinary(ExportMetricsServiceRequestSchema, bytes).resourceMetrics) {
          seen.resources.push(plain(resource?.attributes));
          seen.metrics.push(...scopeMetrics.flatMap(({ metrics }) => metrics));
        }
        break;
      case "/v1/logs":
        for (const { resource, scopeLogs } of fromBinary(ExportLogsServiceRequestSchema, bytes).resourceLogs) {
          seen.resources.push(plain(resource?.attributes));
          for (const record of scopeLogs.flatMap(({ logRecords }) => logRecords)) {
            seen.logs.push({
              body: value(record.body),
              severity: record.severityText,
              traceId: hex(record.traceId),
              spanId: hex(record.spanId),
              attributes: plain(record.attributes),
            });
          }
        }
        break;
      default:
        throw new Error(`nothing is sent to ${path}`);
    }
  };

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the collector has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    ...seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

const kinds = new Map<number, string>(Object.entries(Span_SpanKind).map(([name, number]) => [number, name]));
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

export function plain(attributes: readonly KeyValue[] | undefined): PlainAttributes {
  return Object.fromEntries((attributes ?? []).map((each) => [each.key, value(each.value)]));
}

function value(given: AnyValue | undefined): Plain {
  const one = given?.value;
  switch (one?.case) {
    case "stringValue":
    case "boolValue":
    case "doubleValue":
      return one.value;
    case "intValue":
      return Number(one.value);
    case "bytesValue":
      return hex(one.value);
    case "arrayValue":
      return one.value.values.map(value);
    case "kvlistValue":
      return plain(one.value.values);
    default:
      return null;
  }
}
