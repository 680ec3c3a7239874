// Messages of the OpenAI chat API, in its own spelling as they go over the wire unchanged, and how its chunks are read.
import type { Usage } from "./report.ts";
import { isRecord, listOf, numberOf, stringOf, type JsonRecord } from "./json.ts";

export interface ChatMessage {
  readonly role: "system" | "developer" | "user" | "assistant" | "tool";
  readonly content: string | readonly JsonRecord[] | null;
  readonly name?: string;
  readonly tool_call_id?: string;
  readonly tool_calls?: readonly JsonRecord[];
}

/** Body of `POST /v1/chat/completions` without what the client sets itself (`stream`, `stream_options`). */
export interface ChatCompletionRequest {
  readonly messages: readonly ChatMessage[];
  /** Default: the client's model. */
  readonly model?: string;
  readonly temperature?: number;
  readonly top_p?: number;
  readonly max_tokens?: number;
  readonly max_completion_tokens?: number;
  readonly stop?: string | readonly string[];
  readonly seed?: number;
  readonly user?: string;
  readonly tools?: readonly JsonRecord[];
  readonly tool_choice?: string | JsonRecord;
  readonly response_format?: JsonRecord;
  /** What one server takes beside: `top_k`, `chat_template_kwargs`, `priority`, … */
  readonly [extra: string]: unknown;
}

export interface ToolCallFragment {
  /** Fragments of one call have the same index. */
  readonly index: number;
  readonly id?: string;
  readonly name?: string;
  /** Piece of the arguments' JSON. */
  readonly arguments: string;
}

export type LlmDelta =
  | { readonly text: string }
  | { readonly reasoning: string }
  | { readonly refusal: string }
  | { readonly toolCall: ToolCallFragment }
  /** Last of every complete stream. `engine` is the server's header `x-engine`. */
  | {
      readonly finish: string;
      readonly usage?: Usage;
      readonly model?: string;
      readonly engine?: string;
    };

export interface Chunk {
  readonly deltas: LlmDelta[];
  readonly finish: string | undefined;
  readonly usage: Usage | undefined;
  readonly model: string | undefined;
}

/** One chunk of a stream, or a whole completion of a server that cannot stream. */
export function readChunk(chunk: JsonRecord): Chunk {
  const choice = (listOf(chunk["choices"]) ?? []).find((each) => isRecord(each) && (each["index"] ?? 0) === 0);
  const fields = isRecord(choice) ? choice : {};
  const body = fields["delta"] ?? fields["message"];
  return {
    deltas: isRecord(body) ? [...deltasOf(body)] : [],
    finish: stringOf(fields["finish_reason"]),
    usage: usageOf(chunk["usage"]),
    model: stringOf(chunk["model"]),
  };
}

function* deltasOf(body: JsonRecord): Generator<LlmDelta> {
  // vLLM ≥ 0.19 says "reasoning"; DeepSeek, SGLang and llama.cpp "reasoning_content"; some send both with the same text
  const reasoning = stringOf(body["reasoning"]) ?? stringOf(body["reasoning_content"]);
  if (reasoning !== undefined && reasoning !== "") yield { reasoning };
  const text = stringOf(body["content"]);
  if (text !== undefined && text !== "") yield { text };
  const refusal = stringOf(body["refusal"]);
  if (refusal !== undefined && refusal !== "") yield { refusal };
  for (const [position, call] of (listOf(body["tool_calls"]) ?? []).entries()) {
    if (!isRecord(call)) continue;
    const fn = isRecord(call["function"]) ? call["function"] : {};
    const id = stringOf(call["id"]);
    const name = stringOf(fn["name"]);
    yield {
      toolCall: {
        index: numberOf(call["index"]) ?? position,
        ...(id !== undefined && { id }),
        ...(name !== undefined && { name }),
        arguments: stringOf(fn["arguments"]) ?? "",
      },
    };
  }
}

/** Usage of an OpenAI answer; undefined when it is absent or null, as in every chunk but the last. */
export function usageOf(value: unknown): Usage | undefined {
  if (!isRecord(value)) return undefined;
  const inputTokens = countOf(value["prompt_tokens"]) ?? 0;
  const outputTokens = countOf(value["completion_tokens"]) ?? 0;
  const cachedTokens = detail(value["prompt_tokens_details"], "cached_tokens");
  const reasoningTokens = detail(value["completion_tokens_details"], "reasoning_tokens");
  return {
    inputTokens,
    outputTokens,
    totalTokens: countOf(value["total_tokens"]) ?? inputTokens + outputTokens,
    ...(cachedTokens !== undefined && { cachedTokens }),
    ...(reasoningTokens !== undefined && { reasoningTokens }),
  };
}

function detail(value: unknown, key: string): number | undefined {
  return isRecord(value) ? countOf(value[key]) : undefined;
}

/** The value as a count that 32 bits hold, or undefined: an answer must not fail for what its server says about it. */
function countOf(value: unknown): number | undefined {
  const count = numberOf(value);
  return count !== undefined && Number.isInteger(count) && count >= 0 && count < 2 ** 31 ? count : undefined;
}
