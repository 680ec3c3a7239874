// The HTTP server: routes, their gates, and what happens to errors.
//
// I1  Every answer names its engine in `x-engine`; every error has the OpenAI shape.
// I2  An error after the status line cuts the connection: a cut stream must not look whole.
// I3  No text of a request stands in a log line or error message.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Engines } from "../engines.ts";
import { createGate, Overloaded, type Gate } from "../gate.ts";
import { ApiError } from "./api-error.ts";
import { readBody } from "./body.ts";
import { answerChat, readChatRequest } from "./chat.ts";
import { answerEmbeddings, readEmbeddingsRequest } from "./embeddings.ts";
import { openExchange, type Exchange } from "./exchange.ts";
import { answerRerank, readRerankRequest } from "./rerank.ts";

export interface ServerOptions {
  readonly engines: Engines;
  readonly host: string;
  /** 0 = a free one. */
  readonly port: number;
  /** Calls that may wait for each role. */
  readonly queue: number;
  /** Gets one line for each failure that is not the client's. */
  readonly log: (line: string) => void;
}

export interface RunningServer {
  readonly url: string;
  /** Takes no more calls, waits for those in flight at most `graceMs`, then cuts them. */
  readonly close: (graceMs: number) => Promise<void>;
}

type Handler = (exchange: Exchange) => Promise<void> | void;

/** The application prefixes of a Ray Serve deployment, each of which serves every route. */
const prefixes = /^\/(?:llm|embeddings|reranker)(?=\/.)/;
const own = "inference-dev";

/** Rejects when it cannot listen. */
export async function startServer({ engines, host, port, queue, log }: ServerOptions): Promise<RunningServer> {
  const routes = createRoutes(engines, queue);
  const server = createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
    void handle(request, response, routes, log);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => resolve());
  });
  const address = server.address();
  const actual = typeof address === "object" && address !== null ? address.port : port;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${actual}`,
    close: (graceMs) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => server.closeAllConnections(), graceMs);
        server.close(() => {
          clearTimeout(timer);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  routes: ReadonlyMap<string, Handler>,
  log: (line: string) => void,
): Promise<void> {
  const exchange = openExchange(request, response);
  try {
    await find(request, routes)(exchange);
  } catch (error) {
    if (exchange.signal.aborted) return; // nobody reads it
    if (exchange.started()) {
      log(`a stream was cut: ${nameOf(error)}`);
      exchange.cut(); // I2
      return;
    }
    const told = toApiError(error);
    if (told.status >= 500 && !(error instanceof ApiError)) log(`a call failed: ${nameOf(error)}`);
    exchange.json(told.status, own, told.body(), told.options.headers);
  }
}

function find(request: IncomingMessage, routes: ReadonlyMap<string, Handler>): Handler {
  const path = (request.url ?? "/").replace(/[?#].*$/s, "").replace(prefixes, "");
  const method = request.method === "HEAD" ? "GET" : (request.method ?? "GET");
  const handler = routes.get(`${method} ${path}`);
  if (handler !== undefined) return handler;
  const others = [...routes.keys()].filter((key) => key.endsWith(` ${path}`)).map((key) => key.split(" ")[0] ?? "");
  if (others.length > 0)
    throw new ApiError(405, `use ${others.join(" or ")}`, { headers: { allow: others.join(", ") } });
  throw new ApiError(
    404,
    `there is no such route; there are ${[...routes.keys()].join(", ")}, also below /llm, /embeddings and /reranker`,
    { code: "unknown_route" },
  );
}

function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof Overloaded)
    return new ApiError(429, `too many calls: ${error.message}`, {
      code: "overloaded",
      headers: { "retry-after": "1" },
    });
  return new ApiError(500, "the engine failed", { code: "internal" });
}

/** The kind of an error only: its message may hold text of the request. I3 */
function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

function createRoutes({ chat, embeddings, reranker }: Engines, queue: number): ReadonlyMap<string, Handler> {
  const gate = (engine: { concurrency: number } | undefined): Gate =>
    createGate({ running: engine?.concurrency ?? 1, waiting: queue });
  const gates = { llm: gate(chat), embeddings: gate(embeddings), reranker: gate(reranker) };
  const created = Math.floor(Date.now() / 1000);

  const rerank: Handler = async (exchange) => {
    if (reranker === undefined) throw new ApiError(404, "there is no reranker here", { code: "no_engine" });
    const request = readRerankRequest(await readBody(exchange.request));
    using _ = await gates.reranker.enter(exchange.signal);
    await answerRerank(exchange, reranker, request);
  };
  const list: Handler = (exchange) => {
    const names = [chat, embeddings, reranker].flatMap((engine) => (engine === undefined ? [] : [engine.name]));
    exchange.json(200, own, {
      object: "list",
      data: names.map((id) => ({ id, object: "model", created, owned_by: own })),
    });
  };
  return new Map<string, Handler>([
    [
      "POST /v1/chat/completions",
      async (exchange) => {
        const request = readChatRequest(await readBody(exchange.request));
        using _ = await gates.llm.enter(exchange.signal);
        await answerChat(exchange, chat, request);
      },
    ],
    [
      "POST /v1/embeddings",
      async (exchange) => {
        if (embeddings === undefined)
          throw new ApiError(503, "there is no embedding model here: the start said on standard error how to get it", {
            code: "no_engine",
          });
        const request = readEmbeddingsRequest(await readBody(exchange.request), embeddings.dimensions);
        using _ = await gates.embeddings.enter(exchange.signal);
        await answerEmbeddings(exchange, embeddings, request);
      },
    ],
    ["POST /v1/rerank", rerank],
    ["POST /rerank", rerank],
    ["GET /v1/models", list],
    [
      "GET /health",
      (exchange) =>
        exchange.json(200, own, {
          status: "ok",
          engines: engineNames({ chat, ...(embeddings && { embeddings }), ...(reranker && { reranker }) }),
          load: Object.fromEntries(Object.entries(gates).map(([role, each]) => [role, each.load()])),
        }),
    ],
    ["GET /-/healthz", (exchange) => exchange.text(200, own, "success")],
    [
      "GET /-/routes",
      (exchange) => exchange.json(200, own, { "/llm": "llm", "/embeddings": "embeddings", "/reranker": "reranker" }),
    ],
  ]);
}

/** Names by role, "none" for a role without an engine. */
export function engineNames({
  chat,
  embeddings,
  reranker,
}: Engines): Record<"llm" | "embeddings" | "reranker", string> {
  return { llm: chat.name, embeddings: embeddings?.name ?? "none", reranker: reranker?.name ?? "none" };
}
