// One request and its answer: JSON or an event stream, with the headers that every answer has.
// I1: the signal aborts when the client goes away before the answer is out. I2: events wait for a slow reader; nothing piles up.
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { once } from "node:events";

export interface Exchange {
  readonly request: IncomingMessage;
  readonly id: string;
  readonly signal: AbortSignal;
  readonly json: (status: number, engine: string, body: unknown, headers?: Readonly<Record<string, string>>) => void;
  readonly text: (status: number, engine: string, body: string) => void;
  /** Starts an event stream. */
  readonly events: (engine: string) => EventStream;
  /** Whether the status line is out. */
  readonly started: () => boolean;
  /** Cuts the connection: a stream that cannot be ended properly must not look whole. */
  readonly cut: () => void;
}

export interface EventStream {
  /** Resolves when the next one may be sent; rejects with the signal's reason when the client is gone. */
  readonly send: (data: string) => Promise<void>;
  readonly end: () => void;
}

const safeId = /^[\x21-\x7e]{1,200}$/;

export function openExchange(request: IncomingMessage, response: ServerResponse): Exchange {
  const controller = new AbortController();
  const { signal } = controller;
  response.once("close", () => {
    if (!response.writableFinished) controller.abort(new Error("the client is gone"));
  });
  response.on("error", () => undefined); // the close that follows says it
  const given = request.headers["x-request-id"];
  const id = typeof given === "string" && safeId.test(given) ? given : randomUUID();

  const whole = (status: number, headers: Record<string, string>, body: string) => {
    if (response.headersSent || response.destroyed) return;
    response.writeHead(status, { "x-request-id": id, "content-length": Buffer.byteLength(body), ...headers });
    response.end(body);
  };

  return {
    request,
    id,
    signal,
    started: () => response.headersSent,
    cut() {
      // what was sent before still arrives; the terminal chunk never does
      setImmediate(() => (response.socket === null ? response.destroy() : response.socket.destroySoon()));
    },
    json: (status, engine, body, headers = {}) =>
      whole(
        status,
        { "content-type": "application/json; charset=utf-8", "x-engine": engine, ...headers },
        JSON.stringify(body),
      ),
    text: (status, engine, body) =>
      whole(status, { "content-type": "text/plain; charset=utf-8", "x-engine": engine }, body),
    events(engine) {
      signal.throwIfAborted();
      response.writeHead(200, {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-store",
        "x-request-id": id,
        "x-engine": engine,
      });
      return {
        async send(data) {
          signal.throwIfAborted();
          if (!response.write(`data: ${data}\n\n`)) await once(response, "drain", { signal });
          signal.throwIfAborted();
        },
        end: () => void response.end(),
      };
    },
  };
}
