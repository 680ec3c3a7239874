import { implement, type Implementation } from "../../src/index.ts";
import { ChatService } from "@pipeline/messages";

export const missing: Implementation = implement(ChatService, {
  complete: async () => ({ response: "" }),
  greet: async () => ({ greeting: "" }),
  login: async () => ({}),
});
