// A publisher that has OpenTelemetry of its own: spans of this process go to the collector as well, so that a trace begins where it really begins.
import { context, propagation, SpanKind, trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { NodeSDK } from "@opentelemetry/sdk-node";
import { SimpleSpanProcessor } from "@opentelemetry/sdk-trace";
import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { headers, type Msg, type NatsConnection } from "@nats-io/nats-core";
import { ChatRequestSchema, ChatResponseSchema, type ChatResponse } from "@pipeline/messages";

/** Sends the spans of this process while the work lasts. */
export async function withTelemetry<T>(collectorUrl: string, work: () => Promise<T>): Promise<T> {
  const exporter = new OTLPTraceExporter({ url: `${collectorUrl}/v1/traces` });
  const sdk = new NodeSDK({
    autoDetectResources: false,
    resource: resourceFromAttributes({ "service.name": "publisher" }),
    spanProcessors: [new SimpleSpanProcessor({ exporter })],
    metricReaders: [],
    logRecordProcessors: [],
    instrumentations: [],
  });
  sdk.start();
  try {
    return await work();
  } finally {
    await sdk.shutdown();
    for (const part of [trace, context, propagation]) part.disable();
  }
}

export const questionSubject = "ai.chat.request";

/** Publishes a question as a bare event, within a span of its own, and gives the final answer. */
export async function ask(
  nc: NatsConnection,
  question: MessageInitShape<typeof ChatRequestSchema>,
): Promise<ChatResponse> {
  const answer = next(nc, `ai.chat.response.${question.requestId ?? ""}`);
  const options = { kind: SpanKind.PRODUCER };
  await trace.getTracer("publisher").startActiveSpan(`send ${questionSubject}`, options, async (span) => {
    const carrier: Record<string, string> = {};
    propagation.inject(context.active(), carrier);
    const given = headers();
    for (const [name, value] of Object.entries(carrier)) given.set(name, value);
    nc.publish(questionSubject, toBinary(ChatRequestSchema, create(ChatRequestSchema, question)), { headers: given });
    await nc.flush();
    span.end();
  });
  return fromBinary(ChatResponseSchema, (await answer).data);
}

/** The next message on a subject. Rejects with an Error after half a minute without one. */
export async function next(nc: NatsConnection, subject: string): Promise<Msg> {
  for await (const message of nc.subscribe(subject, { max: 1, timeout: 30_000 })) return message;
  throw new Error(`nothing came on ${subject}`);
}
