import { implement, type Implementation } from "../../src/index.ts";
import { ChatService } from "@pipeline/messages";

export const promise: Implementation = implement(ChatService, {
  chat: async () => ({ content: "" }),
  complete: async () => ({ response: "" }),
  greet: async () => ({ greeting: "" }),
  login: async () => ({}),
});
