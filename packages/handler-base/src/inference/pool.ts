// All servers of one role: which is asked, how often, and what is told about it.
// I1: another attempt only before the first byte of an answer, and only while the deadline leaves time for it.
// I2: servers are asked in the given order; one whose circuit is open is passed over while another is not.
// I3: a server that failed is tried out by a probe in the background while a fallback serves, by one call where there is none.
import { HandlerError, type Code } from "../error.ts";
import { parseBaseUrl } from "./base-url.ts";
import type { Circuit } from "./circuit.ts";
import { createEndpoint, type Endpoint, type Exchange, type Reply } from "./endpoint.ts";
import type { Failure } from "./failure.ts";
import { callHeaders, clientHeaders, sendable, traceContext } from "./headers.ts";
import type { CallOptions, ClientOptions } from "./options.ts";
import { probe } from "./probe.ts";
import type { RequestEnd, Role, Usage } from "./report.ts";
import { createWatch, type Watch } from "./watch.ts";

export interface Call extends Disposable {
  readonly watch: Watch;
  /** First server that answers. Throws HandlerError. */
  readonly send: (request: Omit<Exchange, "headers" | "allow"> & { allow?: readonly number[] }) => Promise<Reply>;
  readonly firstToken: () => void;
  readonly note: (facts: { usage?: Usage | undefined; model?: string | undefined }) => void;
  /** Marks the call as done; without it the end is reported as canceled. */
  readonly done: () => void;
  /** Marks the call as failed; gives the error to throw. */
  readonly failed: (reason: unknown) => HandlerError;
}

export interface Pool extends AsyncDisposable {
  readonly begin: (what: { operation: string; model: string | undefined }, options: CallOptions) => Call;
}

/** A server that asks for more patience than this is asked no more in the same call, ms. */
const longestWaitMs = 5_000;
const maxPauseMs = 30_000;

export function openPool(role: Role, options: ClientOptions, probePath: string): Pool {
  if (options.urls.length === 0) throw new HandlerError(`no URL of a ${role} server is configured`, "invalid_argument");
  const concurrency = options.concurrency ?? 32;
  if (!Number.isInteger(concurrency) || concurrency < 1)
    throw new HandlerError(`the concurrency of the ${role} server must be at least 1`, "invalid_argument");
  const endpoints = options.urls.map((url): Endpoint => {
    const base = parseBaseUrl(url, role);
    return createEndpoint({
      base,
      name: `the ${role} server at ${base.display}`,
      concurrency,
      queue: options.queue ?? concurrency * 4,
      connectTimeoutMs: options.connectTimeoutMs ?? 3_000,
      headerTimeoutMs: options.headerTimeoutMs ?? 30_000,
      idleTimeoutMs: options.idleTimeoutMs ?? 30_000,
      circuit: {
        threshold: options.failuresToOpen ?? 5,
        pauseMs: options.recoveryMs ?? 1_000,
        maxPauseMs,
      },
    });
  });
  const fixedHeaders = clientHeaders(options);
  const closing = new AbortController();

  /** Servers for one call, in order. I2, I3 */
  function* candidates(): Generator<{ endpoint: Endpoint; trial: boolean }> {
    const working = endpoints.filter(({ circuit }) => circuit.state() === "closed");
    for (const endpoint of endpoints) {
      if (working.length === 0 || !endpoint.circuit.tryTrial()) continue;
      void probe(endpoint, { path: probePath, headers: fixedHeaders, signal: closing.signal });
    }
    for (const endpoint of working) yield { endpoint, trial: false };
    for (const endpoint of endpoints) {
      if (!working.includes(endpoint) && endpoint.circuit.tryTrial()) yield { endpoint, trial: true };
    }
  }

  const noneWorks = (): HandlerError => {
    const waitMs = Math.min(...endpoints.map((endpoint) => endpoint.circuit.waitMs()));
    const names = endpoints.map((endpoint) => endpoint.display).join(", ");
    return new HandlerError(`no ${role} server works at the moment (${names})`, "unavailable", {
      retryAfterMs: Math.max(50, Math.ceil(waitMs)),
    });
  };

  return {
    async [Symbol.asyncDispose]() {
      closing.abort(new HandlerError("the client was closed", "canceled"));
      await Promise.all(endpoints.map((endpoint) => endpoint.close()));
    },
    begin({ operation, model }, callOptions) {
      const started = performance.now();
      const traceHeaders = callOptions.traceHeaders ?? {};
      const span = options.onRequest?.({ role, operation, model, traceHeaders });
      const watch = createWatch({
        signal: callOptions.signal,
        deadline: callOptions.deadline,
        what: `the ${role} server`,
      });
      const headers = {
        ...fixedHeaders,
        ...callHeaders(callOptions),
        ...traceContext(traceHeaders),
        ...sendable(span?.headers ?? {}),
      };
      const seen: { -readonly [Key in keyof RequestEnd]: RequestEnd[Key] } = {
        outcome: "canceled",
        durationMs: 0,
        endpoint: undefined,
        attempts: 0,
        status: undefined,
        ttfbMs: undefined,
        firstTokenMs: undefined,
        responseModel: undefined,
        engine: undefined,
        usage: undefined,
      };
      const elapsed = (): number => performance.now() - started;

      const send: Call["send"] = async (request) => {
        const exchange: Exchange = { ...request, headers, allow: request.allow ?? [] };
        let last: HandlerError | undefined;
        watch.throwIfAborted();
        for (const candidate of candidates()) {
          const { endpoint } = candidate;
          const outcome = await attempt(candidate, exchange, watch, () => {
            seen.attempts++;
            seen.endpoint = endpoint.display;
          });
          if ("reply" in outcome) {
            seen.status = outcome.reply.status;
            seen.ttfbMs ??= elapsed();
            seen.engine = headerOf(outcome.reply, "x-engine") ?? seen.engine;
            return outcome.reply;
          }
          last = outcome.error;
          if (outcome.final) break;
        }
        throw last ?? noneWorks();
      };

      return {
        watch,
        send,
        firstToken: () => void (seen.firstTokenMs ??= elapsed()),
        note: ({ usage, model: responseModel }) => {
          seen.usage = usage ?? seen.usage;
          seen.responseModel = responseModel ?? seen.responseModel;
        },
        done: () => void (seen.outcome = "ok"),
        failed: (reason) => {
          const error = HandlerError.from(watch.signal.aborted ? watch.signal.reason : reason);
          seen.outcome = error.code satisfies Code;
          return error;
        },
        [Symbol.dispose]() {
          watch[Symbol.dispose]();
          seen.durationMs = elapsed();
          span?.end(seen);
        },
      };
    },
  };
}

/** Header of a reply as one string. */
export function headerOf(reply: Reply, name: string): string | undefined {
  const value = reply.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

const judge = {
  good: (circuit: Circuit) => circuit.succeeded(),
  bad: (circuit: Circuit, trial: boolean) => circuit.failed(trial),
  unknown: (circuit: Circuit, trial: boolean) => circuit.abandon(trial),
};

/** Asks one server, again where its failure allows it. `final`: another server would answer the same. */
async function attempt(
  { endpoint, trial }: { endpoint: Endpoint; trial: boolean },
  exchange: Exchange,
  watch: Watch,
  onTry: () => void,
): Promise<{ reply: Reply } | { error: HandlerError; final: boolean }> {
  for (let tries = 0; ; tries++) {
    onTry();
    let outcome: { reply: Reply } | { failure: Failure };
    try {
      outcome = await endpoint.exchange(exchange, watch);
    } catch (reason) {
      endpoint.circuit.abandon(trial); // the call was canceled: that says nothing about the server
      throw reason;
    }
    if ("reply" in outcome) {
      endpoint.circuit.succeeded();
      return outcome;
    }
    const { failure } = outcome;
    judge[failure.health](endpoint.circuit, trial);
    const waitMs = failure.waitMs ?? 50 + Math.random() * 150;
    const again =
      !trial && // one question shows whether it is back
      failure.again === "same" &&
      tries < failure.tries &&
      waitMs <= longestWaitMs &&
      waitMs < watch.remainingMs();
    if (!again) return { error: failure.error, final: failure.again === "never" };
    await watch.sleep(waitMs);
  }
}
