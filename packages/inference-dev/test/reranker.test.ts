import { expect, test } from "vitest";
import { createRarity } from "../src/answers/rarity.ts";
import { createReranker } from "../src/answers/reranker.ts";
import { readVocabulary } from "../src/embeddings/vocabulary.ts";

const { signal } = new AbortController();
const open = async () => createReranker({ rarity: createRarity(await readVocabulary()) });

test("one sentence that answers outweighs many words about something else", async () => {
  const scores = await (
    await open()
  ).score(
    "How hot does the kiln become?",
    [
      "The glaze is hot news. People become potters. A hot day. Many words.",
      "Clay dries. The kiln becomes as hot as lava.",
      "",
    ],
    { signal },
  );
  expect(scores[1]).toBeGreaterThan(scores[0] ?? 1);
  expect(scores[2]).toBe(0);
  expect(scores.every((score) => score >= 0 && score <= 1)).toBe(true);
});

test("a document that repeats the best sentence of another one makes room for one that says more", async () => {
  const repeated = "The kiln becomes as hot as lava.";
  const scores = await (
    await open()
  ).score("How hot does the kiln become?", [`Clay. ${repeated}`, `${repeated} Glaze.`, "A kiln is hot for two days."], {
    signal,
  });
  expect(scores[2]).toBeGreaterThan(Math.min(scores[0] ?? 0, scores[1] ?? 0));
  expect(Math.max(scores[0] ?? 0, scores[1] ?? 0)).toBeGreaterThan(scores[2] ?? 1);
});
