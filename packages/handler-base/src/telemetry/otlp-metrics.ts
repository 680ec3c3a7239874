// The registry's numbers as OTLP metrics: read when the reader asks, so that a call does no work for them. Names and attributes are those
// of the conventions where there are any; others are named as on /metrics, with dots.
import { ValueType, type Attributes, type HrTime } from "@opentelemetry/api";
import { emptyResource } from "@opentelemetry/resources";
import { AggregationTemporality, DataPointType } from "@opentelemetry/sdk-metrics";
import type { DataPoint, MetricData, MetricProducer } from "@opentelemetry/sdk-metrics";
import { attribute, genAiOperationOf, rpcMethodOf, system } from "./conventions.ts";
import type { MetricFamily, Registry } from "./registry.ts";

interface Named {
  readonly name: string;
  readonly attributes: Attributes;
}

type Labels = Readonly<Record<string, string>>;

/** By the name on /metrics. A family may become several metrics. */
const named: Readonly<Record<string, (labels: Labels) => Named>> = {
  handler_duration_seconds: ({ method = "", way, code = "" }) => ({
    name: way === "request" ? "rpc.server.call.duration" : "messaging.process.duration",
    attributes: {
      ...(way === "request"
        ? { [attribute.rpcSystem]: system }
        : { [attribute.messagingSystem]: system, [attribute.messagingOperation]: "process" }),
      [attribute.rpcMethod]: rpcMethodOf(method),
      ...(code !== "ok" && { [attribute.rpcStatus]: code, [attribute.errorType]: code }),
    },
  }),
  model_request_duration_seconds: (labels) => ({
    name: `${modelMetric(labels)}.duration`,
    attributes: {
      ...modelAttributes(labels),
      ...(labels["code"] !== "ok" && { [attribute.errorType]: labels["code"] }),
    },
  }),
  model_first_token_seconds: (labels) => ({
    name: `${modelMetric(labels)}.time_to_first_chunk`,
    attributes: modelAttributes(labels),
  }),
  process_resident_memory_bytes: () => ({ name: "process.memory.usage", attributes: {} }),
  process_cpu_seconds_total: () => ({ name: "process.cpu.time", attributes: {} }),
};

/** Operations without a metric in the conventions are named in the same manner. */
function modelMetric({ role, operation }: Labels): string {
  if (role === "vector") return "db.client.operation";
  return role === "llm" ? "gen_ai.client.inference" : `gen_ai.client.${genAiOperationOf(operation ?? "")}`;
}

function modelAttributes({ role, operation = "" }: Labels): Attributes {
  return role === "vector"
    ? { [attribute.dbOperation]: operation }
    : { [attribute.genAiOperation]: genAiOperationOf(operation) };
}

const unitOf = (name: string): string =>
  /_seconds(?:_total)?$/.test(name) ? "s" : name.endsWith("_bytes") ? "By" : "1";

const plainName = (name: string): string => name.replace(/(?:_seconds|_bytes)?(?:_total)?$/, "").replaceAll("_", ".");

/** What the periodic reader collects from. Numbers count from `started`. */
export function createMetricProducer(registry: Registry, version: string): MetricProducer {
  const startTime = toHrTime(Date.now());
  return {
    collect() {
      const endTime = toHrTime(Date.now());
      const metrics = registry.families.flatMap((family) => metricsOf(family, startTime, endTime));
      const scope = { name: "@pipeline/handler-base", version };
      return Promise.resolve({
        resourceMetrics: { resource: emptyResource(), scopeMetrics: [{ scope, metrics }] },
        errors: [],
      });
    },
  };
}

function metricsOf(family: MetricFamily, startTime: HrTime, endTime: HrTime): MetricData[] {
  const naming = named[family.name];
  const placed = (values: readonly string[]): Named => {
    const labels = Object.fromEntries(family.labels.map((label, index) => [label, values[index] ?? ""]));
    return naming ? naming(labels) : { name: plainName(family.name), attributes: labels };
  };
  const base = (name: string) => ({
    descriptor: { name, description: family.help, unit: unitOf(family.name), valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  });
  if (family.kind === "histogram") {
    const boundaries = [...family.bounds];
    const points = family.series().map(({ values, cell }) => {
      const { name, attributes } = placed(values);
      const value = { buckets: { boundaries, counts: [...cell.counts] }, sum: cell.sum, count: cell.count };
      return { name, point: { startTime, endTime, attributes, value } };
    });
    return byName(points).map(([name, dataPoints]) => ({
      ...base(name),
      dataPointType: DataPointType.HISTOGRAM,
      dataPoints,
    }));
  }
  const points = family.series().map(({ values, cell }) => {
    const { name, attributes } = placed(values);
    return { name, point: { startTime, endTime, attributes, value: cell.value } };
  });
  return byName(points).map(([name, dataPoints]): MetricData =>
    family.kind === "counter"
      ? { ...base(name), dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints }
      : { ...base(name), dataPointType: DataPointType.GAUGE, dataPoints },
  );
}

function byName<T>(
  points: Iterable<{ readonly name: string; readonly point: DataPoint<T> }>,
): [string, DataPoint<T>[]][] {
  const groups = new Map<string, DataPoint<T>[]>();
  for (const { name, point } of points) {
    const group = groups.get(name);
    if (group) group.push(point);
    else groups.set(name, [point]);
  }
  return [...groups];
}

const toHrTime = (unixMs: number): HrTime => [Math.floor(unixMs / 1000), (unixMs % 1000) * 1e6];
