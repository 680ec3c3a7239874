import { implement, type Implementation } from "../../src/index.ts";
import { ChatService } from "@pipeline/messages";

export const fine: Implementation = implement(ChatService, {
  async *chat({ query }, { signal }) {
    signal.throwIfAborted();
    yield { content: query };
  },
  complete: async () => ({ response: "" }),
  greet: async () => ({ greeting: "" }),
  login: async () => ({}),
});
