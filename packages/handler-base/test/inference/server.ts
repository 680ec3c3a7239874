// A scripted HTTP server on a port of its own: each test says what happens on the wire, down to the bytes and the socket.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { HandlerError } from "../../src/error.ts";
import type { Socket } from "node:net";

export interface Recorded {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Record<string, unknown>;
  /** Settles when the client went away before the answer was complete. */
  readonly aborted: Promise<void>;
}

export type Script = (request: Recorded, response: ServerResponse, count: number) => unknown;

export interface ScriptedServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly requests: Recorded[];
  /** Connections accepted so far. */
  readonly connections: () => number;
  script: Script;
}

export async function startServer(script: Script, port = 0): Promise<ScriptedServer> {
  const sockets = new Set<Socket>();
  const requests: Recorded[] = [];
  let connections = 0;
  const serve = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { promise: aborted, resolve } = Promise.withResolvers<void>();
    response.on("close", () => {
      if (!response.writableFinished) resolve();
    });
    response.on("error", () => resolve());
    const chunks: Buffer[] = [];
    for await (const chunk of message) chunks.push(Buffer.from(chunk));
    const text = Buffer.concat(chunks).toString();
    const recorded: Recorded = {
      method: message.method ?? "",
      path: message.url ?? "",
      headers: message.headers,
      body: recordOf(text === "" ? {} : JSON.parse(text)),
      aborted,
    };
    requests.push(recorded);
    await server.script(recorded, response, requests.length);
  };
  const http = createServer((message, response) => {
    void serve(message, response);
  });
  http.on("connection", (socket) => {
    connections++;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => http.listen(port, "127.0.0.1", resolve));
  const address = http.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  const server: ScriptedServer = {
    url: `http://127.0.0.1:${address.port}`,
    port: address.port,
    requests,
    connections: () => connections,
    script,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => http.close(() => resolve()));
    },
  };
  return server;
}

export function json(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(typeof value === "string" ? value : JSON.stringify(value));
}

export function plain(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "content-type": "text/plain", ...headers });
  response.end(text);
}

/** Starts an event stream; the head is on the wire when this returns. */
export function openEvents(response: ServerResponse, headers: Record<string, string> = {}): void {
  response.writeHead(200, { "content-type": "text/event-stream", ...headers });
  response.flushHeaders();
}

export function event(value: unknown): string {
  return `data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`;
}

export function token(content: string | null, finish: string | null = null): string {
  return event({
    id: "c1",
    object: "chat.completion.chunk",
    model: "m",
    choices: [{ index: 0, delta: { content }, finish_reason: finish }],
  });
}

/** A whole streamed answer. */
export function answer(response: ServerResponse, tokens: string[], usage?: unknown): void {
  openEvents(response);
  for (const each of tokens) response.write(token(each));
  response.write(event({ model: "m", choices: [{ index: 0, delta: {}, finish_reason: "stop" }], usage: null }));
  if (usage !== undefined) response.write(event({ model: "m", choices: [], usage }));
  response.end(event("[DONE]"));
}

/** The error that a promise ends with; fails the test if it ends well or with an error that is not ours. */
export async function failure(run: Promise<unknown>): Promise<HandlerError> {
  const reason: unknown = await run.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(reason instanceof HandlerError)) throw new Error(`expected a HandlerError, got ${String(reason)}`);
  if (reason.message.includes("secret")) throw new Error("the message holds what the user wrote");
  return reason;
}

export function recordOf(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null) throw new Error("expected an object");
  return { ...value };
}

/** A list of strings in a request's body. */
export function stringsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
