import { implement, type Implementation } from "../../src/index.ts";
import { ChatService } from "@pipeline/messages";

export const unknown: Implementation = implement(ChatService, {
  async *chat() {
    yield { content: "" };
  },
  chatter: async () => ({}),
  complete: async () => ({ response: "" }),
  greet: async () => ({ greeting: "" }),
  login: async () => ({}),
});
