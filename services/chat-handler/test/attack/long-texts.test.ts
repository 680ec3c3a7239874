// Model servers that answer as no model server should, and answers that no user should be able to make costly.
import { describe, expect, test } from "vitest";
import { createCitationFilter, withoutCitations } from "../../src/citations.ts";
import { messagesOf } from "../../src/prompt.ts";
import { spokenText } from "../../src/speech.ts";

describe("time grows with the length of a text that holds nothing but", { timeout: 60_000 }, () => {
  const length = 262_144;
  test.each([" ", "\t", "\n", "\n ", "[", "[1", "[1,", " [", "`", "` ", "[a](", "![", "# ", "(", "**", '"'])(
    "%j",
    (unit) => {
      const text = `${unit.repeat(length / unit.length)}x`;
      const begun = performance.now();
      const filter = createCitationFilter(3);
      filter.push(text);
      filter.end();
      withoutCitations(text);
      spokenText(text);
      const passage = { id: "p", text, title: text, section: text, position: 0, score: 1 };
      const turn = { requestId: "t", at: 0, question: text, answer: text };
      messagesOf({
        instructions: text,
        language: undefined,
        ground: "passages",
        passages: [passage],
        history: [turn],
        question: text,
      });
      expect(performance.now() - begun).toBeLessThan(5000); // it took minutes
    },
  );
});
