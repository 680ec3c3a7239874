// Client of a language model behind the OpenAI chat API. It always streams from the server, also for callers that want the whole text:
// only so is a stuck server told from a slow one.
// I1: a stream is complete only with `[DONE]` and a finish reason; everything else is `unavailable`, and nothing is asked twice then.
import { HandlerError } from "../error.ts";
import { readChunk, type ChatCompletionRequest, type Chunk, type LlmDelta } from "./chat.ts";
import type { Reply } from "./endpoint.ts";
import { embeddedError } from "./failure.ts";
import { isRecord, parseJson, readText } from "./json.ts";
import { headerOf, openPool, type Call } from "./pool.ts";
import type { CallOptions, ClientOptions } from "./options.ts";
import { createSseParser, type SseEvent } from "./sse.ts";
import type { Usage } from "./report.ts";

export interface LlmOptions extends ClientOptions {
  /** From the request to the first token. Default 60000. */
  readonly firstTokenTimeoutMs?: number;
  /** Bytes of one answer, its JSON included. Default 64 MiB. */
  readonly maxAnswerBytes?: number;
}

export interface Llm extends AsyncDisposable {
  /**
   * Answers in pieces; the last one is `finish`. Ends the HTTP request when the signal aborts, when the deadline passes and when the
   * reader leaves the loop. Throws HandlerError; a cut stream is `unavailable` after the pieces that came.
   */
  readonly stream: (request: ChatCompletionRequest, options: CallOptions) => AsyncGenerator<LlmDelta, void, undefined>;
}

const maxEventLength = 1024 * 1024;

export function openLlm(options: LlmOptions): Llm {
  const pool = openPool("llm", options, "/v1/models");
  const firstTokenTimeoutMs = options.firstTokenTimeoutMs ?? 60_000;
  const maxAnswerBytes = options.maxAnswerBytes ?? 64 * 1024 * 1024;

  return {
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
    async *stream(request, callOptions) {
      const model = request.model ?? options.model;
      using call = pool.begin({ operation: "chat", model }, callOptions);
      try {
        const body = JSON.stringify({
          ...request,
          model,
          stream: true,
          stream_options: { include_usage: true },
        });
        call.watch.arm(
          "first token",
          firstTokenTimeoutMs,
          () => `the LLM gave no token within ${firstTokenTimeoutMs} ms`,
        );
        await using reply = await call.send({ method: "POST", path: "/v1/chat/completions", body });
        const streamed = headerOf(reply, "content-type")?.startsWith("text/event-stream") ?? false;
        const chunks = streamed ? readStream(reply, maxAnswerBytes) : readWhole(reply, maxAnswerBytes);
        yield* deltas(chunks, call, headerOf(reply, "x-engine"));
        call.done();
      } catch (reason) {
        throw call.failed(reason);
      }
    },
  };
}

async function* deltas(
  chunks: AsyncGenerator<Chunk>,
  call: Call,
  engine: string | undefined,
): AsyncGenerator<LlmDelta, void, undefined> {
  let finish: string | undefined;
  let usage: Usage | undefined;
  let model: string | undefined;
  for await (const chunk of chunks) {
    if (chunk.deltas.length > 0) {
      call.watch.disarm("first token");
      call.firstToken();
    }
    finish = chunk.finish ?? finish;
    usage = chunk.usage ?? usage;
    model = chunk.model ?? model;
    yield* chunk.deltas;
    call.watch.throwIfAborted(); // what is buffered must not go out after a cancel
  }
  if (finish === undefined)
    throw new HandlerError("the LLM's answer was cut: it ended without a finish reason", "unavailable");
  call.note({ usage, model });
  yield {
    finish,
    ...(usage !== undefined && { usage }),
    ...(model !== undefined && { model }),
    ...(engine !== undefined && { engine }),
  };
}

async function* readStream(reply: Reply, maxAnswerBytes: number): AsyncGenerator<Chunk> {
  const parser = createSseParser({ maxEventLength });
  let size = 0;
  for await (const bytes of reply.body) {
    size += bytes.byteLength;
    if (size > maxAnswerBytes) {
      throw new HandlerError(`${reply.from} answered more than ${maxAnswerBytes} bytes`, "resource_exhausted", {
        retryable: false,
      });
    }
    for (const event of parser.push(bytes)) {
      if (event.data === "[DONE]") {
        reply.leave();
        return;
      }
      yield readEvent(event, reply.from);
    }
  }
  for (const event of parser.end()) {
    if (event.data === "[DONE]") return;
  }
  throw new HandlerError(
    size === 0
      ? `${reply.from} answered with an empty body`
      : `the answer of ${reply.from} was cut: it ended without [DONE]`,
    "unavailable",
  );
}

function readEvent(event: SseEvent, from: string): Chunk {
  const value = parseJson(event.data, from);
  if (!isRecord(value) || event.event === "error" || isError(value)) throw embeddedError(value, from);
  return readChunk(value);
}

/** An answer that is no event stream: an error in disguise, or a whole completion of a server that cannot stream. */
async function* readWhole(reply: Reply, maxAnswerBytes: number): AsyncGenerator<Chunk> {
  const value = parseJson(await readText(reply.body, maxAnswerBytes, reply.from), reply.from);
  if (!isRecord(value) || isError(value) || !Array.isArray(value["choices"])) throw embeddedError(value, reply.from);
  yield readChunk(value);
}

function isError(value: Record<string, unknown>): boolean {
  return (value["error"] !== undefined && value["error"] !== null) || value["object"] === "error";
}
