// Spans of what a service asks: one for a logical request to a model or vector server, its retries included, and `traceparent` for it.
import { context, propagation, SpanKind, SpanStatusCode, trace, TraceFlags } from "@opentelemetry/api";
import type { Attributes, Context, Span, Tracer } from "@opentelemetry/api";
import type { RequestEnd, RequestStart, Role } from "../inference/report.ts";
import { attribute, genAiOperationOf } from "./conventions.ts";
import type { Tracing } from "./tracing.ts";

/** `gen_ai.provider.name` names the flavour of the interface, not who runs the model. */
const providers: Readonly<Record<Role, string | undefined>> = {
  llm: "openai",
  embeddings: "openai",
  speech: "openai",
  reranker: "self_hosted",
  vector: undefined,
};

export function createModelSpans(tracer: Tracer): Tracing["onRequest"] {
  return (start) => {
    const active = context.active();
    const parent = trace.getSpanContext(active) ? active : propagation.extract(active, start.traceHeaders);
    const caller = trace.getSpanContext(parent);
    if (caller && (caller.traceFlags & TraceFlags.SAMPLED) === 0) {
      return { headers: headersOf(parent), end: () => undefined };
    }
    const span = tracer.startSpan(nameOf(start), { kind: SpanKind.CLIENT, attributes: attributesOf(start) }, parent);
    return {
      headers: headersOf(trace.setSpan(parent, span)),
      end: (end) => finish(span, end),
    };
  };
}

function nameOf({ role, operation, model }: RequestStart): string {
  const name = role === "vector" ? operation : genAiOperationOf(operation);
  return model === undefined ? name : `${name} ${model}`;
}

function attributesOf({ role, operation, model }: RequestStart): Attributes {
  const provider = providers[role];
  return {
    [attribute.genAiOperation]: genAiOperationOf(operation),
    ...(provider !== undefined && { [attribute.genAiProvider]: provider }),
    ...(model !== undefined && { [attribute.genAiRequestModel]: model }),
    ...(role === "llm" && { [attribute.genAiStream]: true }),
    ...(role === "vector" && { [attribute.dbOperation]: operation }),
  };
}

function headersOf(active: Context): Record<string, string> {
  const headers: Record<string, string> = {};
  propagation.inject(active, headers);
  return headers;
}

function finish(span: Span, end: RequestEnd): void {
  const set = (name: string, value: string | number | undefined) => {
    if (value !== undefined) span.setAttribute(name, value);
  };
  if (end.endpoint !== undefined && URL.canParse(end.endpoint)) {
    const { hostname, port, protocol } = new URL(end.endpoint);
    set(attribute.serverAddress, hostname);
    set(attribute.serverPort, port === "" ? (protocol === "https:" ? 443 : 80) : Number(port));
  }
  set(attribute.httpStatus, end.status);
  if (end.attempts > 1) set(attribute.httpResends, end.attempts - 1);
  set(attribute.genAiResponseModel, end.responseModel);
  set(attribute.engine, end.engine);
  if (end.firstTokenMs !== undefined) set(attribute.genAiFirstChunk, end.firstTokenMs / 1000);
  set(attribute.genAiInputTokens, end.usage?.inputTokens);
  set(attribute.genAiOutputTokens, end.usage?.outputTokens);
  set(attribute.genAiCachedTokens, end.usage?.cachedTokens);
  set(attribute.genAiReasoningTokens, end.usage?.reasoningTokens);
  if (end.outcome !== "ok") {
    set(attribute.errorType, end.outcome);
    if (end.outcome !== "canceled") span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end();
}
