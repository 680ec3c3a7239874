// One model server: its connections, concurrency limit and circuit, and a single HTTP exchange with it.
// I1: a slot is held until the body is read to its end or destroyed, so `concurrency` bounds the streams in flight.
// I2: an abort destroys the connection of the exchange: that is what makes vLLM, Ray Serve and llama.cpp stop generating.
import type { IncomingHttpHeaders } from "node:http";
import type { Dispatcher } from "undici";
import { HandlerError } from "../error.ts";
import type { BaseUrl } from "./base-url.ts";
import { readChunks, untilAborted, whenClosed } from "./body.ts";
import { createCircuit, type Circuit, type CircuitOptions } from "./circuit.ts";
import { openConnections, type Connections } from "./connections.ts";
import { networkFailure, statusFailure, type Failure } from "./failure.ts";
import { createGate, type Gate } from "./gate.ts";
import { readText } from "./json.ts";
import { createWatch, type Watch } from "./watch.ts";

export interface Exchange {
  readonly method: "GET" | "POST";
  /** Path below the server's prefix, with its slash: "/v1/chat/completions". */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  /** Statuses beside 2xx that are an answer and no failure. */
  readonly allow: readonly number[];
}

export interface Reply extends AsyncDisposable {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Server that answered, as messages may show it. */
  readonly from: string;
  /** The body once; each wait for a chunk is bounded by the idle timeout, and a body cut short throws `unavailable`. */
  readonly body: AsyncIterable<Uint8Array>;
  /** What is read is all that matters: leaving the body now keeps the connection for the next exchange if its end comes soon. */
  readonly leave: () => void;
}

export interface EndpointOptions {
  readonly base: BaseUrl;
  /** "LLM server at http://h:8000/llm" */
  readonly name: string;
  readonly concurrency: number;
  readonly queue: number;
  readonly connectTimeoutMs: number;
  readonly headerTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly circuit: CircuitOptions;
}

export interface Endpoint {
  readonly name: string;
  readonly display: string;
  readonly circuit: Circuit;
  readonly gate: Gate;
  /** One exchange. Throws only the reason of the call's signal; everything else is a Failure. */
  readonly exchange: (request: Exchange, call: Watch) => Promise<{ reply: Reply } | { failure: Failure }>;
  /** Destroys all connections; running exchanges fail. */
  readonly close: () => Promise<void>;
}

/** An error body beyond this, or one that takes longer, is not worth reading. */
const maxErrorBytes = 64 * 1024;
const maxErrorMs = 5_000;

export function createEndpoint(options: EndpointOptions): Endpoint {
  const { base, name } = options;
  const circuit = createCircuit(options.circuit);
  const gate = createGate({ name, limit: options.concurrency, queue: options.queue });
  let opening: Promise<Connections> | undefined;
  let closed = false;
  const clientClosed = (): HandlerError => new HandlerError(`the client of ${name} was closed`, "unavailable");

  return {
    name,
    display: base.display,
    circuit,
    gate,
    async close() {
      closed = true;
      const connections = await opening;
      await connections?.pool.destroy(clientClosed());
    },
    async exchange(request, call) {
      call.throwIfAborted();
      if (closed) return refused(clientClosed(), "never");
      let release: () => void;
      try {
        release = await gate.acquire(call.signal);
      } catch (reason) {
        call.throwIfAborted();
        return refused(HandlerError.from(reason), "next");
      }
      // A watch of its own: when this server is silent for too long, another may still be asked within the same call.
      const watch = createWatch({ signal: call.signal, what: name });
      const finish = (): void => {
        watch[Symbol.dispose]();
        release();
      };
      let pending: Promise<Dispatcher.ResponseData>;
      let connections: Connections;
      try {
        opening ??= openConnections(base.origin, {
          connections: options.concurrency,
          connectTimeoutMs: options.connectTimeoutMs,
        });
        connections = await opening;
        watch.arm("head", options.headerTimeoutMs, () => `${name} sent nothing for ${options.headerTimeoutMs} ms`);
        pending = connections.pool.request({
          method: request.method,
          path: `${base.prefix}${request.path}${base.search}`,
          headers: {
            ...(base.authorization !== undefined && { authorization: base.authorization }),
            ...request.headers,
          },
          body: request.body ?? null,
          signal: watch.signal,
        });
      } catch (reason) {
        finish();
        call.throwIfAborted();
        throw reason;
      }
      // The slot follows the exchange, which may outlive its caller: a request that still waits for its connection cannot be aborted.
      void whenClosed(pending, finish);
      try {
        const { statusCode: status, headers, body } = await untilAborted(pending, watch.signal);
        watch.disarm("head");
        let left = false;
        const chunks = readChunks(body, {
          watch,
          name,
          idleTimeoutMs: options.idleTimeoutMs,
          left: () => left,
        });
        if ((status >= 200 && status < 300) || request.allow.includes(status)) {
          const reply: Reply = {
            status,
            headers,
            from: name,
            body: chunks,
            leave: () => void (left = true),
            async [Symbol.asyncDispose]() {
              if (!left) body.destroy();
            },
          };
          return { reply };
        }
        // An error body that is cut, slow or huge says no more than its status.
        watch.arm("head", maxErrorMs, () => `${name} did not finish its error`);
        const text = await readText(chunks, maxErrorBytes, name).catch(() => "");
        call.throwIfAborted();
        const retryAfter = headers["retry-after"];
        return {
          failure: statusFailure({
            status,
            body: text,
            retryAfter: Array.isArray(retryAfter) ? retryAfter[0] : retryAfter,
            from: name,
          }),
        };
      } catch (reason) {
        call.throwIfAborted();
        if (watch.signal.aborted) return refused(HandlerError.from(watch.signal.reason), "next", "bad");
        return {
          failure: networkFailure(reason, {
            host: base.host,
            from: name,
            reused: connections.wasReused(reason),
          }),
        };
      }
    },
  };
}

function refused(
  error: HandlerError,
  again: Failure["again"],
  health: Failure["health"] = "unknown",
): { failure: Failure } {
  return { failure: { error, again, waitMs: undefined, tries: 0, health } };
}
