// Spans of what a service handles: a server span for a request, a consumer span for an event. The parent is what the publisher says in
// `traceparent`; retries and redeliveries of one message have the same one, so that all attempts are in one trace.
//
// I1  The whole work on a call runs in its context: the handler with its generators, and what the library does for it.
// I2  A call that is not recorded still hands on its trace, marked as such, so that nobody after it begins one.
import {
  context,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Attributes,
  type Context,
  type Span,
  type TextMapGetter,
  type Tracer,
} from "@opentelemetry/api";
import { SamplingDecision, type Sampler } from "@opentelemetry/sdk-trace";
import { Match, type MsgHdrs } from "@nats-io/nats-core";
import type { Incoming, Outcome } from "../call.ts";
import { HandlerError, type Code } from "../error.ts";
import { attribute, rpcMethodOf, system } from "./conventions.ts";
import type { Ids } from "./sampling.ts";
import type { Tracing } from "./tracing.ts";

/** Publishers in Go write `Traceparent`. */
const getter: TextMapGetter<MsgHdrs> = {
  get: (carrier, key) => carrier.get(key) || carrier.get(key, Match.IgnoreCase) || undefined,
  keys: (carrier) => carrier.keys(),
};

/** Failures of the service, not of its caller: only these make a server span an error (RPC conventions). */
const serviceFaults: ReadonlySet<Code> = new Set([
  "unknown",
  "deadline_exceeded",
  "unimplemented",
  "internal",
  "unavailable",
  "data_loss",
]);

interface Kind {
  readonly name: string;
  readonly kind: SpanKind;
  readonly attributes: Attributes;
}

export interface CallSpansOptions {
  readonly tracer: Tracer;
  readonly sampler: Sampler;
  readonly ids: Ids;
}

export function createCallSpans({ tracer, sampler, ids }: CallSpansOptions): Pick<Tracing, "around" | "rejected"> {
  const known = new Map<string, Kind>();
  const kindOf = (incoming: Incoming): Kind => {
    const { way, method, pattern } = incoming;
    const key = `${way} ${pattern?.text ?? ""} ${method.contract.name}`; // of contracts only, so bounded
    let kind = known.get(key);
    if (kind === undefined) {
      kind = way === "request" ? serverSpan(incoming) : consumerSpan(incoming);
      known.set(key, kind);
    }
    return kind;
  };

  /** A span, or the context of a trace that is not recorded. */
  const begin = (incoming: Incoming, startTime?: number): { span: Span | undefined; active: Context } => {
    const { name, kind, attributes } = kindOf(incoming);
    const parent = incoming.headers ? propagation.extract(ROOT_CONTEXT, incoming.headers, getter) : ROOT_CONTEXT;
    const caller = trace.getSpanContext(parent);
    const traceId = caller?.traceId ?? ids.generateTraceId();
    const { decision } = sampler.shouldSample(parent, traceId, name, kind, attributes, []);
    if (decision === SamplingDecision.NOT_RECORD) {
      const spanId = caller?.spanId ?? ids.generateSpanId();
      const unsampled = { ...caller, traceId, spanId, traceFlags: TraceFlags.NONE };
      return { span: undefined, active: trace.setSpanContext(parent, unsampled) }; // I2
    }
    const options = { kind, attributes, ...(startTime !== undefined && { startTime }) };
    const span = ids.withTraceId(traceId, () => tracer.startSpan(name, options, parent));
    span.setAttribute(attribute.messagingBodySize, incoming.data.length);
    span.setAttribute(attribute.attempt, incoming.attempt);
    return { span, active: trace.setSpan(parent, span) };
  };

  return {
    around(call, work) {
      const { span, active } = begin(call.incoming);
      if (span === undefined) return context.with(active, work);
      span.setAttribute(attribute.requestId, call.context.requestId);
      return context.with(active, async () => {
        try {
          const outcome = await work();
          end(span, outcome);
          return outcome;
        } catch (reason) {
          end(span, { ok: false, error: HandlerError.from(reason) });
          throw reason;
        }
      });
    },
    rejected(incoming, outcome, durationMs) {
      const { span } = begin(incoming, Date.now() - durationMs);
      if (span) end(span, outcome);
    },
  };
}

function serverSpan({ method: { contract } }: Incoming): Kind {
  const name = rpcMethodOf(contract.name);
  return {
    name,
    kind: SpanKind.SERVER,
    attributes: { [attribute.rpcSystem]: system, [attribute.rpcMethod]: name },
  };
}

/** Subjects hold ids of users and requests: the pattern stands in their place. A durable request has none. */
function consumerSpan({ method: { contract }, pattern }: Incoming): Kind {
  const method = rpcMethodOf(contract.name);
  const destination = pattern?.text ?? method;
  return {
    name: `process ${destination}`,
    kind: SpanKind.CONSUMER,
    attributes: {
      [attribute.messagingSystem]: system,
      [attribute.messagingOperation]: "process",
      [attribute.messagingOperationType]: "process",
      [attribute.messagingTemplate]: destination,
      [attribute.messagingGroup]: contract.handler,
      [attribute.rpcMethod]: method,
    },
  };
}

function end(span: Span, outcome: Outcome): void {
  if (!outcome.ok) {
    const { code } = outcome.error;
    span.setAttribute(attribute.rpcStatus, code);
    span.setAttribute(attribute.errorType, code);
    if (serviceFaults.has(code)) span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end();
}
