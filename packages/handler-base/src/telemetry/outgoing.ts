// Span of a call that the typed client makes, and the headers that hand its trace on. By OpenTelemetry's interface alone: where nobody has
// set an SDK up, it does nothing, and an application that has one of its own gets these spans as well.
import { context, propagation, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import type { MethodContract } from "../contract.ts";
import { HandlerError } from "../error.ts";
import { attribute, rpcMethodOf, system } from "./conventions.ts";

export interface OutgoingSpan {
  /** The caller's headers with those of the trace. */
  readonly headers: Readonly<Record<string, string>>;
  /** The call failed. Call `end` as well. */
  readonly failed: (reason: unknown) => void;
  readonly end: () => void;
}

/** Begins a span whose parent is the active one, or else the one that the caller's headers name. */
export function startOutgoing({ name }: MethodContract, given: Readonly<Record<string, string>> = {}): OutgoingSpan {
  const active = context.active();
  const parent = trace.getSpanContext(active) ? active : propagation.extract(active, given);
  const rpcMethod = rpcMethodOf(name);
  const attributes = { [attribute.rpcSystem]: system, [attribute.rpcMethod]: rpcMethod };
  const span = trace
    .getTracer("@pipeline/handler-base")
    .startSpan(rpcMethod, { kind: SpanKind.CLIENT, attributes }, parent);
  const headers = { ...given };
  propagation.inject(trace.setSpan(parent, span), headers);
  return {
    headers,
    failed(reason) {
      const { code } = HandlerError.from(reason);
      span.setAttributes({ [attribute.rpcStatus]: code, [attribute.errorType]: code });
      span.setStatus({ code: SpanStatusCode.ERROR });
    },
    end: () => span.end(),
  };
}
