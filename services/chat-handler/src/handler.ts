// chat-handler's rpcs: what happens in which order. How each step works is in the file that it comes from.
//
// I1  A turn is written when its answer is complete, and before the answer's end is told: whoever asks next in the conversation finds it.
// I2  Only the language model is needed: what else fails is left out and told in the answer.
import { HandlerError, implement, type CallContext, type Implementation } from "@pipeline/handler-base";
import type { CallOptions, Llm, Speech } from "@pipeline/handler-base/inference";
import type { Passage } from "@pipeline/handler-base/vector";
import { ChatService, type ChatRequest } from "@pipeline/messages";
import { createCitationFilter } from "./citations.ts";
import { degraded } from "./degraded.ts";
import { wholeAnswer } from "./fold.ts";
import { greetingMessages, greetingOf } from "./greeting.ts";
import { conversationKey, type Turn } from "./history.ts";
import type { History } from "./history-store.ts";
import { textOf, type Ending, type ModelOptions } from "./model.ts";
import { fitting, messagesOf } from "./prompt.ts";
import { effectiveQuery, languageOf, lookup } from "./question.ts";
import type { Found, Retriever } from "./retrieval.ts";
import { spokenText } from "./speech.ts";

export interface ChatDeps {
  readonly llm: Llm;
  readonly retriever: Retriever;
  /** Undefined: conversations are not kept. */
  readonly history: History | undefined;
  /** Undefined: answers are not spoken. */
  readonly speech: Speech | undefined;
  /** First paragraph of the system message where a request brings none. */
  readonly instructions: string;
  /** Characters of all passages in one prompt. */
  readonly sourcesMaxChars: number;
  readonly model: ModelOptions;
  /** Time for speaking an answer, ms. */
  readonly speechMs: number;
}

const defaultTopK = 5;
const greetingTokens = 200;
const notAsked: Found = { passages: [], searched: false, degraded: [] };

export function chatService(deps: ChatDeps): Implementation {
  const { llm, retriever, history } = deps;
  return implement(ChatService, {
    async *chat(request, context) {
      const { log } = context;
      const question = effectiveQuery(request);
      const language = languageOf(request);
      const key = history && conversationKey(context.caller.userId, request.sessionId);
      const call = callOptions(context, key);
      const notes: string[] = [];

      const turns = await recall(deps, key, context, notes);
      const found =
        request.enableRag === false
          ? notAsked
          : await retriever.find(lookupOf(request, lookup(question, turns.at(-1)?.question)), call, log);
      notes.push(...found.degraded);
      const passages = fitting(found.passages, deps.sourcesMaxChars);
      const messages = messagesOf({
        instructions: request.systemPrompt || deps.instructions,
        language,
        ground: !found.searched ? "none" : passages.length === 0 ? "nothing" : "passages",
        passages,
        history: turns,
        question,
      });

      const citations = createCitationFilter(passages.length);
      const ending: Ending = { model: "", usage: undefined, note: undefined };
      let answer = "";
      for await (const piece of textOf(llm, messages, { call, options: deps.model, ending })) {
        const content = citations.push(piece);
        if (content === "") continue;
        answer += content;
        yield { type: "chunk", content };
      }
      const rest = citations.end();
      if (rest !== "") {
        answer += rest;
        yield { type: "chunk", content: rest };
      }
      if (ending.note !== undefined) notes.push(ending.note);

      const audio = request.enableTts ? await speak(deps, answer, context, notes) : undefined;
      const turn = { requestId: context.requestId, at: Date.now(), question, answer: answer.trim() };
      await remember(deps, key, turn, context, notes);
      log.info(
        { passages: passages.length, cited: citations.cited.size, degraded: notes.length, characters: answer.length },
        "answered",
      );
      yield {
        type: "done",
        done: true,
        sources: passages.map((passage, index) => sourceOf(passage, citations.cited.has(index + 1))),
        usedRag: passages.length > 0,
        model: ending.model,
        degraded: notes,
        ...(audio !== undefined && { audio }),
        ...(ending.usage !== undefined && {
          usage: { inputTokens: ending.usage.inputTokens, outputTokens: ending.usage.outputTokens },
        }),
      };
    },

    complete: wholeAnswer,

    async greet(request, context) {
      const messages = greetingMessages(request, languageOf(request));
      const ending: Ending = { model: "", usage: undefined, note: undefined };
      const options = { ...deps.model, maxTokens: Math.min(deps.model.maxTokens, greetingTokens) };
      const pieces = textOf(llm, messages, { call: callOptions(context, undefined), options, ending });
      const text = (await Array.fromAsync(pieces)).join("");
      return { userId: context.caller.userId, greeting: greetingOf(text), model: ending.model };
    },

    login({ premium }, { log }) {
      log.info({ premium }, "a user has signed in");
      return {};
    },
  });
}

function callOptions({ signal, deadline, requestId }: CallContext, key: string | undefined): CallOptions {
  return { signal, deadline, requestId, ...(key !== undefined && { sessionId: key }) };
}

function lookupOf({ collection, topK, enableReranker }: ChatRequest, text: string) {
  return { text, collection, topK: topK === 0 ? defaultTopK : topK, rerank: enableReranker };
}

async function recall(
  { history }: ChatDeps,
  key: string | undefined,
  { requestId, signal, log }: CallContext,
  notes: string[],
): Promise<readonly Turn[]> {
  if (history === undefined || key === undefined) return [];
  const turns = await optional(
    () => history.read(key, requestId, signal),
    signal,
    (error) => {
      notes.push(degraded.historyRead);
      log.warn({ code: error.code, reason: error.message }, "the answer goes on without the conversation's history");
    },
  );
  return turns ?? [];
}

async function remember(
  { history }: ChatDeps,
  key: string | undefined,
  turn: Turn,
  { signal, log }: CallContext,
  notes: string[],
): Promise<void> {
  if (history === undefined || key === undefined) return;
  await optional(
    () => history.add(key, turn, signal),
    signal,
    (error) => {
      notes.push(degraded.historyWrite);
      log.warn({ code: error.code, reason: error.message }, "a turn could not be written");
    },
  );
}

async function speak(
  { speech, speechMs }: ChatDeps,
  answer: string,
  { signal, deadline, requestId, log }: CallContext,
  notes: string[],
): Promise<Uint8Array | undefined> {
  if (speech === undefined) {
    notes.push(degraded.noSpeech);
    return undefined;
  }
  const { text, shortened } = spokenText(answer);
  if (text === "") return undefined;
  const call = { signal, requestId, deadline: Math.min(deadline, Date.now() + speechMs) };
  const audio = await optional(
    () => speech.speak(text, call),
    signal,
    (error) => {
      notes.push(degraded.speech);
      log.warn({ code: error.code, reason: error.message }, "the answer is not spoken");
    },
  );
  if (audio !== undefined && shortened) notes.push(degraded.longSpeech);
  return audio;
}

/** What the work gives, or undefined after a failure that is not the call's own end. I2 */
async function optional<T>(
  work: () => Promise<T>,
  signal: AbortSignal,
  onFailure: (error: HandlerError) => void,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (reason) {
    if (signal.aborted) throw HandlerError.from(signal.reason);
    onFailure(HandlerError.from(reason));
    return undefined;
  }
}

function sourceOf({ text, score, title, section, uri = "", position }: Passage, cited: boolean) {
  return { text, score, title, section, uri, position, cited };
}
