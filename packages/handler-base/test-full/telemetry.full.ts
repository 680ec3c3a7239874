// What the OpenTelemetry collector itself gets of a conversation with chat-handler, run from source and as the bundle that is shipped.
import { beforeAll, describe, expect, test } from "vitest";
import { forms, type Form } from "./chat-handler.ts";
import { eventId, marker, record, type Recorded } from "./conversation.ts";
import type { SpanTaken } from "./otel-collector.ts";

const recorded = new Map<Form, Recorded>();
beforeAll(async () => {
  for (const form of forms) recorded.set(form, await record(form));
});

function of(form: Form): Recorded {
  const found = recorded.get(form);
  if (found === undefined) throw new Error(`nothing was recorded of the ${form}`);
  return found;
}

/** The trace that the publisher began with a span of this kind and name, in the order in which its spans began. */
function traceOf({ taken: { spans } }: Recorded, kind: string, name: string): SpanTaken[] {
  const root = spans.find((span) => span.parentId === "" && span.kind === kind && span.name === name);
  if (root === undefined) throw new Error(`the collector has no ${name}`);
  return spans
    .filter(({ traceId }) => traceId === root.traceId)
    .toSorted((a, b) => Number(a.startedAt - b.startedAt) || depth(spans, a) - depth(spans, b));
}

function depth(spans: readonly SpanTaken[], span: SpanTaken): number {
  const parent = parentOf(spans, span);
  return parent === undefined ? 0 : depth(spans, parent) + 1;
}

const parentOf = (spans: readonly SpanTaken[], span: SpanTaken): SpanTaken | undefined =>
  spans.find(({ spanId }) => spanId === span.parentId);

const shown = ({ service, kind, name }: SpanTaken): string => `${service}: ${kind} ${name}`;

/** `parent > child` for each span; "?" is a parent that the collector does not have. */
const edges = (spans: readonly SpanTaken[]): string[] =>
  spans.map((span) => {
    const parent = parentOf(spans, span);
    return parent ? `${shown(parent)} > ${shown(span)}` : `${span.parentId === "" ? "" : "? > "}${shown(span)}`;
  });

const steps = ["CLIENT embeddings the-embedder", "CLIENT search", "CLIENT rerank the-reranker", "CLIENT chat the-llm"];
const leadingTo = (root: string, handling: string): string[] => [
  `publisher: ${root}`,
  `publisher: ${root} > chat-handler: ${handling}`,
  ...steps.map((step) => `chat-handler: ${handling} > chat-handler: ${step}`),
];

const event = (recording: Recorded) => traceOf(recording, "PRODUCER", "send ai.chat.request");
const call = (recording: Recorded) => traceOf(recording, "CLIENT", "messages.v1.ChatService/Chat");

describe.each(forms)("from the %s", (form) => {
  test("both questions are answered from history and documents, what fails is told, and the service ends well", () => {
    const { answers, prompt, failures, exit } = of(form);
    const answer = `The ${marker} had wings of eleven metres [1].`;
    expect(answers).toEqual([answer, answer]);
    for (const known of [
      `How large was the ${marker}?`, // of the turn before
      `And what did the ${marker} eat?`,
      `The ${marker} ate small animals`,
    ]) {
      expect(prompt).toContain(known);
    }
    expect(failures).toEqual([
      expect.stringContaining("refused the request: HTTP 400"),
      expect.stringContaining("language: must be at most 35 characters"),
      "3",
    ]);
    expect(exit).toEqual({ code: 0, signal: null });
  });

  test("an event is one trace: publish, handle, embed, search, rerank, chat", () => {
    expect(edges(event(of(form)))).toEqual(
      leadingTo("PRODUCER send ai.chat.request", "CONSUMER process ai.chat.request"),
    );
  });

  test("a call of the typed client is one trace as well", () => {
    const method = "messages.v1.ChatService/Chat";
    expect(edges(call(of(form)))).toEqual(leadingTo(`CLIENT ${method}`, `SERVER ${method}`));
  });

  test("each model server is told the span of its request", () => {
    const recording = of(form);
    for (const spans of [event(recording), call(recording)]) {
      const asking = spans.filter((span) => steps.includes(`${span.kind} ${span.name}`) && span.name !== "search");
      const told = recording.requests
        .map(({ headers }) => String(headers["traceparent"]))
        .filter((header) => header.includes(spans[0]?.traceId ?? "none"));
      expect(told.toSorted()).toEqual(asking.map(({ traceId, spanId }) => `00-${traceId}-${spanId}-01`).toSorted());
    }
  });

  test("attributes are those of the messaging, RPC, GenAI and database conventions", () => {
    const [, handling, embedding, searching, ranking, chatting] = event(of(form));
    expect(handling?.attributes).toMatchObject({
      "messaging.system": "nats",
      "messaging.operation.name": "process",
      "messaging.destination.template": "ai.chat.request",
      "messaging.consumer.group.name": "chat-handler",
      "rpc.method": "messages.v1.ChatService/Chat",
      "handler.request_id": eventId,
      "handler.attempt": 1,
    });
    expect(embedding?.attributes).toMatchObject({
      "gen_ai.operation.name": "embeddings",
      "gen_ai.request.model": "the-embedder",
    });
    expect(searching?.attributes).toMatchObject({
      "gen_ai.operation.name": "retrieval",
      "db.operation.name": "search",
    });
    expect(ranking?.attributes).toMatchObject({
      "gen_ai.operation.name": "rerank",
      "gen_ai.request.model": "the-reranker",
    });
    expect(chatting?.attributes).toMatchObject({
      "gen_ai.operation.name": "chat",
      "gen_ai.request.model": "the-llm",
      "gen_ai.response.model": "scripted",
      "gen_ai.usage.output_tokens": 2,
      "server.address": "127.0.0.1",
      "http.response.status_code": 200,
    });
    const [, serving] = call(of(form));
    expect(serving?.attributes).toMatchObject({
      "rpc.system.name": "nats",
      "rpc.method": "messages.v1.ChatService/Chat",
    });
  });

  test("what was refused is in the trace of its caller, and what could not be read has a span", () => {
    const recording = of(form);
    const failed = recording.taken.spans
      .filter(({ attributes }) => attributes["error.type"] !== undefined)
      .map((span) => ({ span: shown(span), type: span.attributes["error.type"], error: span.error }));
    const refused = (span: string, error: boolean) => ({ span, type: "invalid_argument", error });
    const byName = (a: { span: string }, b: { span: string }): number => (a.span < b.span ? -1 : 1);
    // An error of the service's own span only where the service is at fault; of the one who asks in any case.
    expect(failed.toSorted(byName)).toEqual(
      [
        refused("chat-handler: CLIENT rerank the-reranker", true),
        refused("chat-handler: CLIENT chat the-llm", true),
        refused("chat-handler: SERVER messages.v1.ChatService/Complete", false),
        refused("publisher: CLIENT messages.v1.ChatService/Complete", true),
        refused("chat-handler: SERVER messages.v1.ChatService/Complete", false),
        refused("publisher: CLIENT messages.v1.ChatService/Complete", true),
        refused("chat-handler: CONSUMER process ai.chat.request", false),
      ].toSorted(byName),
    );
  });

  test("a log line of a call has the ids of its span", () => {
    const recording = of(form);
    const [, handling] = event(recording);
    expect(recording.taken.logs).toContainEqual({
      service: "chat-handler",
      body: "answered",
      traceId: handling?.traceId,
      spanId: handling?.spanId,
    });
  });

  test("metrics of both ways and of all that is asked arrive", () => {
    expect(of(form).taken.metrics.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        "messaging.process.duration",
        "rpc.server.call.duration",
        "gen_ai.client.inference.duration",
        "gen_ai.client.inference.time_to_first_chunk",
        "gen_ai.client.embeddings.duration",
        "gen_ai.client.rerank.duration",
        "db.client.operation.duration",
      ]),
    );
  });

  test("nothing that users wrote, models said or documents hold is in traces, metrics and logs", () => {
    const { taken, log } = of(form);
    for (const text of [taken.text, log]) {
      expect(text).toContain(eventId);
      expect(text.toLowerCase()).not.toContain(marker);
    }
  });
});

test("the bundle tells the same as the source", () => {
  expect(summary(of("bundle"))).toEqual(summary(of("source")));
});

/** Everything but ids, times and sizes. */
function summary({ taken: { spans, logs, metrics } }: Recorded) {
  const kinds = (values: readonly string[]): string[] => [...new Set(values)].toSorted();
  const timed = "event.loop.lag"; // first measured half a second after the start, when a fast run is over
  return {
    spans: kinds(
      spans.map((span) => {
        const parent = parentOf(spans, span);
        return `${parent ? shown(parent) : ""} > ${shown(span)} ${Object.keys(span.attributes).toSorted().join(" ")}`;
      }),
    ),
    logs: kinds(logs.map(({ body, traceId }) => `${body} ${traceId === "" ? "outside" : "within"} a trace`)),
    metrics: kinds(metrics.map(({ name }) => name).filter((name) => name !== timed)),
  };
}
