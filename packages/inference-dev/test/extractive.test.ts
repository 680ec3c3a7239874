import { beforeAll, describe, expect, test } from "vitest";
import { readSources } from "../src/answers/conversation.ts";
import { createExtractive } from "../src/answers/extractive.ts";
import { createRarity, type Rarity } from "../src/answers/rarity.ts";
import { unitsOf } from "../src/answers/units.ts";
import { readVocabulary } from "../src/embeddings/vocabulary.ts";
import type { ChatTurn } from "../src/engines.ts";

let rarity: Rarity;
beforeAll(async () => {
  rarity = createRarity(await readVocabulary());
});

const sources = `You answer.

Sources:

[1] Coffee machine › Cleaning
The **brew group** is rinsed after every fifty cups. It must be dry before it is put back.

Descale the machine with citric acid:

- pour *half a litre* into the tank
- wait for twenty minutes

[2] Coffee machine › Error codes
| code | meaning | remedy |
| ---- | ------- | ------ |
| E1 | the tank is empty | fill the tank |
| E7 | the grinder is jammed | call the [service](https://example.org) |

Start the self-test with:

\`\`\`sh
brew selftest --full
\`\`\`

[7] is no source of its own.`;

async function ask(question: string, before: readonly ChatTurn[] = [], system = sources): Promise<string> {
  const engine = createExtractive({ rarity });
  const turns: ChatTurn[] = [{ role: "system", text: system }, ...before, { role: "user", text: question }];
  const pieces = await Array.fromAsync(engine.answer(turns, { signal: new AbortController().signal, maxTokens: 1000 }));
  expect(pieces.every((piece) => /^\s*\S+$/.test(piece))).toBe(true);
  return pieces.join("");
}

describe("an answer", () => {
  test("is a sentence of a source with its number, without markup", async () => {
    expect(await ask("After how many cups is the brew group rinsed?")).toMatch(
      /^The brew group is rinsed after every fifty cups\. \[1\]/,
    );
  });

  test("takes the sentence before along where the best one leans on it", async () => {
    const answer = await ask("When must the brew group be dry?");
    expect(answer).toContain(
      "The brew group is rinsed after every fifty cups. [1] It must be dry before it is put back. [1]",
    );
  });

  test("can be a row of a table, read with its columns", async () => {
    const answer = await ask("What is the remedy for code E7 when the grinder is jammed?");
    expect(answer).toContain("E7: the grinder is jammed; call the service. [2]");
  });

  test("can be an item of a list", async () => {
    expect(await ask("How many minutes do I wait when I descale the machine?")).toContain(
      "Wait for twenty minutes. [1]",
    );
  });

  test("can be a line of code", async () => {
    expect(await ask("How do I run brew selftest?")).toContain("`brew selftest --full` [2]");
  });

  test("cites only sources that there are, after every sentence", async () => {
    for (const question of [
      "Is the tank empty?",
      "What does the grinder do?",
      "How is the machine descaled with citric acid?",
    ]) {
      const answer = await ask(question);
      for (const [, number] of answer.matchAll(/\[(\d+)\]/g)) expect(["1", "2"]).toContain(number);
    }
  });
});

test("an example of how to ask is no answer", async () => {
  const examples = `Sources:\n\n[1] Machine › Trying it\n\`\`\`sh\nask "How hot is the brew water?"\n\`\`\`\n\n[2] Machine › Water\nThe brew water is heated to 93 degrees.`;
  expect(await ask("How hot is the brew water?", [], examples)).toBe("The brew water is heated to 93 degrees. [2]");
});

describe("a question that the sources do not cover", () => {
  test.each(["What does the machine cost?", "Who invented espresso?", "Which colours is the brew lid sold in?", "???"])(
    "is refused: %s",
    async (question) => {
      expect(await ask(question)).toBe("The sources do not say.");
    },
  );

  test("is refused where the passages are empty", async () => {
    expect(await ask("Is the tank empty?", [], "Sources:\n\n[1] Nothing\n")).toBe("The sources do not say.");
  });
});

describe("a conversation", () => {
  const before: ChatTurn[] = [
    { role: "user", text: "What does code E7 of the grinder mean?" },
    { role: "assistant", text: "E7: the grinder is jammed. [2]" },
  ];

  test("lets a question lean on the one before", async () => {
    expect(await ask("And what is its remedy?")).toBe("The sources do not say.");
    expect(await ask("And what is its remedy?", before)).toContain("call the service. [2]");
  });

  test("does not carry over where the question stands alone", async () => {
    expect(await ask("Who invented espresso?", before)).toBe("The sources do not say.");
  });

  test("begins with a greeting, and says so when there are no sources", async () => {
    expect(await ask("Hello!")).toMatch(/^Hello!/);
    expect(await ask("Hi there", [], "")).toMatch(/^Hello!/);
    expect(await ask("What is a queue group?", [], "")).toMatch(/^I have no sources/);
    expect(await ask("Thanks a lot!")).toBe("You are welcome.");
  });
});

test("an aborted answer ends", async () => {
  const stop = new AbortController();
  const engine = createExtractive({ rarity });
  const turns: ChatTurn[] = [
    { role: "system", text: sources },
    { role: "user", text: "After how many cups is the brew group rinsed?" },
  ];
  const reading = async () => {
    for await (const _ of engine.answer(turns, { signal: stop.signal, maxTokens: 100 }))
      stop.abort(new Error("enough"));
  };
  await expect(reading()).rejects.toThrow("enough");
});

describe("sources", () => {
  test("are read by consecutive numbers only", () => {
    expect(readSources(sources).map(({ number, heading }) => [number, heading])).toEqual([
      [1, "Coffee machine › Cleaning"],
      [2, "Coffee machine › Error codes"],
    ]);
    expect(readSources(sources)[1]?.text).toMatch(/\[7\] is no source of its own\.$/);
    expect(readSources("Sources: none")).toEqual([]);
  });

  test("are cut into units that can stand alone", () => {
    expect(
      unitsOf("A is e.g. big. It has\ntwo lines.\n\n1. first\n2. second\n").map(({ text, kind }) => [kind, text]),
    ).toEqual([
      ["sentence", "A is e.g. big."],
      ["sentence", "It has two lines."],
      ["item", "first"],
      ["item", "second"],
    ]);
    // an example with a citation would pass for one of the answer's own
    expect(unitsOf("```\nthe answer [1]\n```\n| a |\n| - |\n")).toEqual([]);
    expect(unitsOf("```\nunclosed")).toHaveLength(1);
  });
});
