// A chat service that needs no models: its answers are written here, so that what a foreign reader prints can be compared word by word.
import { once } from "node:events";
import { fold, HandlerError, implement, startService, type RunningService } from "@pipeline/handler-base";
import { defineConfig } from "@pipeline/handler-base/config";
import { ChatService } from "@pipeline/messages";

/** What the service says to every question that asks for nothing special. */
export const answerText = "It is a pointer to a payload in the object store [1].";
export const sourceTitle = "Delivery";

/** Questions with an effect of their own. */
export const questions = {
  ordinary: "What is a claim check?",
  /** Fails for good. */
  failing: "fail",
  /** The first attempt dies after two pieces, the second one answers. */
  restarting: "restart",
  /** The answer is larger than a message may be. */
  large: "large",
  /** Says nothing until it is aborted. */
  endless: "endless",
} as const;

export const audioBytes = 2_000_000;

const pieces = answerText.split(/(?<= )/);
const config = defineConfig({});

/** Starts the service on a nats-server; resolves when it is ready. */
export function startChatService(natsUrl: string): Promise<RunningService> {
  const source = { NATS_URL: natsUrl, HEALTH_HOST: "127.0.0.1", HEALTH_PORT: "0", LOG_LEVEL: "error" };
  return startService({ name: "chat-handler", config, services: () => [chat()] }, source);
}

function chat() {
  return implement(ChatService, {
    async *chat(request, { attempt, caller, signal }) {
      const question = request.query || request.message;
      if (question === questions.failing)
        throw new HandlerError("the question cannot be answered", "failed_precondition");
      if (question === questions.endless) await once(signal, "abort");
      for (const [index, content] of pieces.entries()) {
        if (question === questions.restarting && attempt === 1 && index === 2) {
          throw new HandlerError("the model went away", "unavailable");
        }
        yield { content };
      }
      yield {
        type: "done",
        done: true,
        sources: [{ title: sourceTitle, text: "Large payloads", cited: true }],
        usedRag: true,
        model: caller.userId === "" ? "script" : `script for ${caller.userId}`,
        ...(question === questions.large && { audio: new Uint8Array(audioBytes) }),
      };
    },
    complete: fold(ChatService.method.chat, ChatService.method.complete, {
      start: () => {
        let response = "";
        let last: Partial<ReturnType<typeof lastOf>> = {};
        return {
          add: (frame) => {
            response = frame.type === "restart" ? "" : response + frame.content;
            last = lastOf(frame);
          },
          finish: () => ({ response, ...last }),
        };
      },
      replay: ({ response, sources }) => [{ content: response }, { type: "done", sources }],
    }),
    greet: ({ nickname, userId }) => ({ greeting: `Hello, ${nickname}!`, userId, model: "script" }),
    login: () => ({}),
  });
}

function lastOf({
  sources,
  usedRag,
  model,
  audio,
}: {
  sources: object[];
  usedRag: boolean;
  model: string;
  audio: Uint8Array;
}) {
  return { sources, usedRag, model, audio };
}
