// Log lines for the collector, and the ids of their trace for those who read them on stderr.
import { context, SeverityNumber, trace, type AnyValue, type Logger } from "@opentelemetry/api";
import type { Level, LogRecord } from "../log.ts";

const severities: Readonly<Record<Level, SeverityNumber>> = {
  debug: SeverityNumber.DEBUG,
  info: SeverityNumber.INFO,
  warn: SeverityNumber.WARN,
  error: SeverityNumber.ERROR,
};

/** Gives the record with `trace_id` and `span_id` where it was written within a trace. */
export function createTraceLogs(logger: Logger): (record: LogRecord) => LogRecord {
  return (record) => {
    const active = context.active();
    const { time, level, message, fields } = record;
    logger.emit({
      timestamp: time,
      severityNumber: severities[level],
      severityText: level,
      body: message,
      attributes: plain(fields),
      context: active,
    });
    const span = trace.getSpanContext(active);
    if (span === undefined) return record;
    return { ...record, fields: { ...fields, trace_id: span.traceId, span_id: span.spanId } };
  };
}

/** Fields of a record are plain JSON values (log-fields.ts), which is what the collector takes. */
function plain(fields: LogRecord["fields"]): Record<string, AnyValue> {
  const out: Record<string, AnyValue> = {};
  for (const [name, value] of Object.entries(fields)) out[name] = plainValue(value);
  return out;
}

function plainValue(value: unknown): AnyValue {
  switch (typeof value) {
    case "string":
    case "number":
    case "boolean":
      return value;
    case "object":
      if (value === null) return null;
      if (Array.isArray(value)) return value.map(plainValue);
      return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plainValue(inner)]));
    case "bigint":
    case "undefined":
    case "function":
    case "symbol":
      return `[${typeof value}]`;
    default:
      return null;
  }
}
