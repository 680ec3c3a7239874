// The language model as this service uses it: its text, how it ended, and what its failures mean to whoever asked.
//
// I1  What is wrong between this service and its model server is never told as if it were the caller's fault.
import { HandlerError, type Code } from "@pipeline/handler-base";
import type { CallOptions, ChatMessage, Llm, Usage } from "@pipeline/handler-base/inference";
import { degraded } from "./degraded.ts";

export interface ModelOptions {
  readonly maxTokens: number;
  readonly temperature: number | undefined;
}

/** How a text ended; filled while it is read. */
export interface Ending {
  model: string;
  usage: Usage | undefined;
  /** What the answer must say about its end. */
  note: string | undefined;
}

/** Characters of one answer, whatever its model thinks of `maxTokens`. */
const longestAnswer = 262_144;

/** Text of the model in pieces, its reasoning left out. Throws HandlerError; leaving the loop ends the request. */
export async function* textOf(
  llm: Llm,
  messages: readonly ChatMessage[],
  { call, options, ending }: { call: CallOptions; options: ModelOptions; ending: Ending },
): AsyncGenerator<string, void, undefined> {
  const request = {
    messages,
    max_tokens: options.maxTokens,
    ...(options.temperature !== undefined && { temperature: options.temperature }),
  };
  let length = 0;
  try {
    for await (const delta of llm.stream(request, call)) {
      if ("finish" in delta) {
        ending.model = delta.model ?? "";
        ending.usage = delta.usage;
        ending.note = noteOf(delta.finish);
        continue;
      }
      const piece = "text" in delta ? delta.text : "refusal" in delta ? delta.refusal : "";
      if (piece === "") continue;
      length += piece.length;
      yield piece;
      if (length > longestAnswer) {
        ending.note = degraded.cut;
        return;
      }
    }
  } catch (reason) {
    throw modelFailure(HandlerError.from(reason));
  }
  if (length === 0) throw new HandlerError("the language model answered without text", "unavailable");
}

function noteOf(finish: string): string | undefined {
  if (finish === "length") return degraded.cut;
  return finish === "content_filter" ? degraded.filtered : undefined;
}

/** I1: codes that would tell the caller to mend a request or credentials that are not the caller's. */
const ours: ReadonlySet<Code> = new Set([
  "unauthenticated",
  "permission_denied",
  "not_found",
  "unimplemented",
  "failed_precondition",
]);

function modelFailure(error: HandlerError): HandlerError {
  if (!ours.has(error.code)) return error;
  return new HandlerError("the language model refuses this service: its operator must look", "failed_precondition", {
    cause: error,
  });
}
