// `/v1/chat/completions`, streamed or whole.
import { randomUUID } from "node:crypto";
import type { ChatEngine, ChatTurn } from "../engines.ts";
import { isRecord, listOf, stringOf, type JsonRecord } from "../json.ts";
import { badRequest } from "./api-error.ts";
import type { Exchange } from "./exchange.ts";

const maxMessages = 1000;
const defaultMaxTokens = 2048;

export interface ChatRequest {
  readonly turns: readonly ChatTurn[];
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly maxTokens: number;
}

/** Throws ApiError that names the field. */
export function readChatRequest(body: JsonRecord): ChatRequest {
  const messages = listOf(body["messages"]);
  if (messages === undefined || messages.length === 0)
    throw badRequest("messages must be a list with a message", "messages");
  if (messages.length > maxMessages) throw badRequest(`messages may hold at most ${maxMessages}`, "messages");
  const turns = messages.flatMap(readTurn);
  if (turns.at(-1)?.role !== "user") throw badRequest("the last message must be of role user", "messages");
  const count = body["n"] ?? 1;
  if (count !== 1) throw badRequest("n must be 1: there is one answer", "n");
  const stream = body["stream"] ?? false;
  if (typeof stream !== "boolean") throw badRequest("stream must be true or false", "stream");
  const options = body["stream_options"];
  return {
    turns,
    stream,
    includeUsage: isRecord(options) && options["include_usage"] === true,
    maxTokens: readMaxTokens(body),
  };
}

function readMaxTokens(body: JsonRecord): number {
  for (const param of ["max_completion_tokens", "max_tokens"]) {
    const value = body[param] ?? undefined;
    if (value === undefined) continue;
    if (typeof value !== "number" || !Number.isInteger(value) || value < 1)
      throw badRequest(`${param} must be a whole number of at least 1`, param);
    return Math.min(value, defaultMaxTokens);
  }
  return defaultMaxTokens;
}

function readTurn(message: unknown, at: number): ChatTurn[] {
  const param = `messages[${at}]`;
  if (!isRecord(message)) throw badRequest(`${param} must be an object`, param);
  const text = readContent(message["content"] ?? "", `${param}.content`);
  switch (message["role"]) {
    case "system":
    case "developer":
      return [{ role: "system", text }];
    case "user":
    case "assistant":
      return [{ role: message["role"], text }];
    case "tool":
    case "function":
      return []; // no engine here calls tools
    default:
      throw badRequest(`${param}.role must be system, developer, user, assistant or tool`, `${param}.role`);
  }
}

function readContent(content: unknown, param: string): string {
  if (typeof content === "string") return content;
  const parts = listOf(content);
  if (parts === undefined) throw badRequest(`${param} must be a string or a list of parts`, param);
  return parts
    .map((part) => {
      const text = isRecord(part) && part["type"] === "text" ? stringOf(part["text"]) : undefined;
      if (text === undefined) throw badRequest(`${param} may hold parts of type text only`, param);
      return text;
    })
    .join("\n");
}

export async function answerChat(exchange: Exchange, engine: ChatEngine, request: ChatRequest): Promise<void> {
  const head = { id: `chatcmpl-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model: engine.name };
  const run = createRun(engine, request, exchange.signal);
  if (!request.stream) {
    let content = "";
    for await (const piece of run.pieces()) content += piece;
    exchange.json(200, engine.name, {
      ...head,
      object: "chat.completion",
      choices: [
        {
          index: 0,
          message: { role: "assistant", content, refusal: null },
          logprobs: null,
          finish_reason: run.finish(),
        },
      ],
      usage: run.usage(),
    });
    return;
  }
  const usage = request.includeUsage ? { usage: null } : {};
  const chunk = (delta: JsonRecord, finish: string | null) =>
    JSON.stringify({
      ...head,
      object: "chat.completion.chunk",
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
      ...usage,
    });
  const pieces = run.pieces();
  try {
    // the status waits for the first piece, so that an engine that fails at once can still say so
    let next = await pieces.next();
    const events = exchange.events(engine.name);
    await events.send(chunk({ role: "assistant", content: "" }, null));
    for (; next.done !== true; next = await pieces.next()) await events.send(chunk({ content: next.value }, null));
    await events.send(chunk({}, run.finish()));
    if (request.includeUsage)
      await events.send(JSON.stringify({ ...head, object: "chat.completion.chunk", choices: [], usage: run.usage() }));
    await events.send("[DONE]");
    events.end();
  } finally {
    await pieces.return(); // a client that is gone stops the engine
  }
}

interface Run {
  readonly pieces: () => AsyncGenerator<string, void, undefined>;
  readonly finish: () => "stop" | "length";
  readonly usage: () => JsonRecord;
}

function createRun(engine: ChatEngine, { turns, maxTokens }: ChatRequest, signal: AbortSignal): Run {
  let count = 0;
  let cut = false;
  const promptTokens = turns.reduce((sum, { text }) => sum + countWords(text), 0);
  return {
    async *pieces() {
      for await (const piece of engine.answer(turns, { signal, maxTokens })) {
        signal.throwIfAborted();
        if (count === maxTokens) {
          cut = true;
          return;
        }
        count++;
        yield piece;
      }
    },
    finish: () => (cut ? "length" : "stop"),
    usage: () => ({
      prompt_tokens: promptTokens,
      completion_tokens: count,
      total_tokens: promptTokens + count,
    }),
  };
}

/** Tokens are counted as words: near enough for a bill that nobody gets. */
function countWords(text: string): number {
  let count = 0;
  for (const _ of text.matchAll(/\S+/g)) count++;
  return count;
}
