// A chat service for the tests of the command line: the real library and contract, answers that the query asks for.
import { fold, HandlerError, implement, startService, type Implementation } from "@pipeline/handler-base";
import { defineConfig } from "@pipeline/handler-base/config";
import { ChatService } from "@pipeline/messages";

export interface ChatLog {
  /** Queries in the order in which they were begun. */
  readonly asked: string[];
  /** Queries that fail now, with these codes. */
  readonly failing: Map<string, "unavailable" | "invalid_argument" | "not_found">;
  /** The answer, in pieces. */
  words: readonly string[];
}

export const newLog = (): ChatLog => ({
  asked: [],
  failing: new Map(),
  words: ["It ", "is ", "retried ", "[1]."],
});

const source = { title: "Delivery", section: "Retries", uri: "docs/delivery.md", text: "…", score: 1, cited: true };

export function chat(log: ChatLog): Implementation {
  return implement(ChatService, {
    async *chat({ query }) {
      log.asked.push(query);
      const code = log.failing.get(query);
      if (code !== undefined) throw new HandlerError("as the test wants", code, { retryable: false });
      for (const word of log.words) yield { type: "chunk", content: word };
      yield { type: "done", done: true, sources: [source], model: "canned" };
    },
    complete: fold(ChatService.method.chat, ChatService.method.complete, {
      start: ({ requestId }) => {
        let response = "";
        return {
          add: (chunk) => {
            if (chunk.type === "restart") response = "";
            response += chunk.content;
          },
          finish: () => ({ response, requestId, sources: [source], model: "canned" }),
        };
      },
      replay: ({ response }) => [
        { type: "chunk", content: response },
        { type: "done", done: true },
      ],
    }),
    greet: ({ userId }) => ({ greeting: `Hello ${userId}` }),
    login: () => ({}),
  });
}

export function startChat(natsUrl: string, log: ChatLog, env: Readonly<Record<string, string>> = {}) {
  return startService(
    { name: "chat-handler", config: defineConfig({}), services: () => [chat(log)] },
    { NATS_URL: natsUrl, HEALTH_PORT: "0", HEALTH_HOST: "127.0.0.1", LOG_LEVEL: "error", ...env },
  );
}
