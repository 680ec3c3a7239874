// A service that asks all kinds of servers, over the echo contract, and the scripted servers that it asks.
import type { ServerResponse } from "node:http";
import { openEmbeddings, openLlm, openReranker, type Llm } from "../../src/inference/index.ts";
import {
  HandlerError,
  startService,
  type CallContext,
  type Implementation,
  type RunningService,
  type ServiceDeps,
} from "../../src/index.ts";
import type { BaseConfig } from "../../src/config.ts";
import { openMilvus } from "../../src/vector/index.ts";
import { EchoService, type EchoRequest } from "../gen/echo/v1/echo_pb.ts";
import { answer, json, startServer, type ScriptedServer } from "../inference/server.ts";
import { echo } from "../support/echo.ts";
import { echoConfig } from "../support/service.ts";

/** What the servers say, which must not be in any telemetry. */
export const secrets = ["secret question", "secret passage", "secret answer"] as const;

/** All model servers in one: embeddings, reranker, language model, Milvus. */
export function startModels(): Promise<ScriptedServer> {
  return startServer(({ path }, response: ServerResponse) => {
    switch (path) {
      case "/v1/embeddings":
        json(response, { model: "e5-real", data: [{ index: 0, embedding: [0.1, 0.2] }], usage: { prompt_tokens: 4 } });
        return;
      case "/v2/vectordb/collections/describe":
        json(response, {
          code: 0,
          data: {
            fields: [
              { name: "id", type: "VarChar", primaryKey: true },
              { name: "text", type: "VarChar" },
              { name: "vector", type: "FloatVector", params: [{ key: "dim", value: "2" }] },
            ],
            indexes: [{ fieldName: "vector", metricType: "COSINE" }],
          },
        });
        return;
      case "/v2/vectordb/entities/search":
        json(response, { code: 0, data: [{ id: "1", text: secrets[1], distance: 0.9 }] });
        return;
      case "/v1/rerank":
        json(response, { model: "rr", results: [{ index: 0, relevance_score: 0.8 }] });
        return;
      case "/v1/chat/completions":
        response.setHeader("x-engine", "scripted");
        answer(response, ["secret ", "answer"], { prompt_tokens: 11, completion_tokens: 2, total_tokens: 13 });
        return;
      default:
        response.writeHead(404).end();
    }
  });
}

/** Starts the service: `say` retrieves and answers, `count` streams the answer, the rest is the echo service's. */
export function startRag(
  natsUrl: string,
  modelsUrl: string,
  env: Readonly<Record<string, string>>,
): Promise<RunningService> {
  return startService(
    { name: "echo", version: "1.2.3", config: echoConfig, services: (deps) => [rag(deps, modelsUrl)] },
    { NATS_URL: natsUrl, HEALTH_PORT: "0", HEALTH_HOST: "127.0.0.1", LOG_LEVEL: "info", ...env },
  );
}

function rag({ onRequest, onClose }: ServiceDeps<BaseConfig>, url: string): Implementation {
  const embeddings = openEmbeddings({ urls: [url], model: "e5", dialect: "openai", onRequest });
  const store = openMilvus({ url, onRequest });
  const reranker = openReranker({ urls: [url], model: "rr", dialect: "jina", onRequest });
  const llm = openLlm({ urls: [url], model: "qwen", onRequest });
  for (const [name, client] of Object.entries({ embeddings, store, reranker, llm })) {
    onClose(name, async () => client[Symbol.asyncDispose]());
  }
  const say = async (request: EchoRequest, context: CallContext) => {
    const { signal } = context;
    context.log.info({}, "asked");
    if (context.attempt <= request.failures) await fail(llm, request, context);
    const [vector] = await embeddings.embed([request.text], { signal });
    if (vector === undefined) throw new Error("no vector");
    const passages = await store.search({ collection: "docs", vector, limit: 3 }, { signal });
    const texts = passages.map(({ text }) => text);
    await reranker.rerank(request.text, texts, { signal });
    let text = "";
    for await (const delta of stream(llm, request, context)) text += delta;
    return { text };
  };
  async function* count(request: EchoRequest, context: CallContext) {
    for await (const delta of stream(llm, request, context)) yield { text: delta };
  }
  const base = echo();
  const methods = new Map(base.methods);
  methods.set("say", { kind: "unary", handle: (request, context) => say(request as EchoRequest, context) });
  methods.set("count", {
    kind: "server_streaming",
    handle: (request, context) => count(request as EchoRequest, context),
  });
  return { service: EchoService, methods };
}

async function* stream(llm: Llm, { text }: EchoRequest, { signal }: CallContext): AsyncGenerator<string> {
  for await (const delta of llm.stream({ messages: [{ role: "user", content: text }] }, { signal })) {
    if ("text" in delta) yield delta.text;
  }
}

/** An attempt that asks and then fails for the time being. */
async function fail(llm: Llm, request: EchoRequest, context: CallContext): Promise<never> {
  await Array.fromAsync(stream(llm, request, context));
  throw new HandlerError("not yet", "unavailable");
}
