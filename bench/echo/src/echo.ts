// The echo contract with the least that a service can do: say it back, or pass on what a language model streams.
import { fold, implement, type Implementation } from "@pipeline/handler-base";
import type { Llm } from "@pipeline/handler-base/inference";
import { EchoService } from "../../../packages/handler-base/test/gen/echo/v1/echo_pb.ts";

/** Without a model, Count counts. */
export function echo(llm: Llm | undefined): Implementation {
  return implement(EchoService, {
    say: ({ text, data }, { attempt }) => ({ text, data, attempt }),
    once: ({ text }, { attempt }) => ({ text, attempt }),
    async *count({ text, frames }, { signal, deadline }) {
      if (llm === undefined) {
        for (let number = 1; number <= frames; number += 1) yield { text: `${text}${number} ` };
        return;
      }
      const messages = [{ role: "user", content: text }] as const;
      for await (const delta of llm.stream({ messages, max_tokens: frames }, { signal, deadline })) {
        if ("text" in delta) yield { text: delta.text };
      }
    },
    sum: fold(EchoService.method.count, EchoService.method.sum, {
      start: () => {
        let text = "";
        return {
          add: (frame) => {
            text += frame.text;
          },
          finish: () => ({ text }),
        };
      },
      replay: ({ text }) => [
        { type: "chunk", text },
        { type: "done", done: true },
      ],
    }),
  });
}
