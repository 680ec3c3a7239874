import { implement, type Implementation } from "../../src/index.ts";
import { ChatService } from "@pipeline/messages";

export const wrong: Implementation = implement(ChatService, {
  async *chat() {
    yield { contents: "" };
  },
  complete: async () => ({ response: "" }),
  greet: async () => ({ greeting: "" }),
  login: async () => ({}),
});
