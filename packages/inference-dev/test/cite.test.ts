import { array, assert, constantFrom, property, string } from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { createRarity, type Rarity } from "../src/answers/rarity.ts";
import { readVocabulary } from "../src/embeddings/vocabulary.ts";
import { cite } from "../src/llm/cite.ts";
import { createSentenceSplitter } from "../src/llm/sentences.ts";

let rarity: Rarity;
beforeAll(async () => {
  rarity = createRarity(await readVocabulary());
});

const sources = [
  { number: 1, heading: "Filter", text: "A paper filter lasts for 39 brews and costs little." },
  { number: 2, heading: "Machine", text: "The machine has two boilers and a grinder made of steel." },
];
const check = (sentence: string) => cite(sentence, sources, { rarity, signal: new AbortController().signal });

describe("a sentence of a model", () => {
  test("gets the number of the source that supports it, whatever number it claims", async () => {
    expect(await check("The grinder of the machine is made of steel [1].")).toBe(
      "The grinder of the machine is made of steel. [2]",
    );
    expect(await check("A filter lasts 39 brews. [2]")).toBe("A filter lasts 39 brews. [1]");
  });

  test("is dropped without support", async () => {
    expect(await check("The company was founded in Milan by two brothers.")).toBeUndefined();
    expect(await check("[1]")).toBeUndefined();
  });

  test("is dropped with a number that its source does not hold", async () => {
    expect(await check("A paper filter lasts for 45 brews.")).toBeUndefined();
    expect(await check("The machine has 39 boilers and a grinder made of steel.")).toBeUndefined();
  });
});

describe("sentences", () => {
  const split = (...pieces: readonly string[]) => {
    const splitter = createSentenceSplitter();
    return [...pieces.flatMap((piece) => splitter.push(piece)), ...splitter.end()];
  };

  test("come out whole, citations with the sentence before them", () => {
    expect(split("One. [1] Two", " e.g. here! Three\nFour")).toEqual(["One. [1]", "Two e.g. here!", "Three", "Four"]);
    expect(split("Version 1.5 is", " out.")).toEqual(["Version 1.5 is out."]);
  });

  test("lose no word, however the text is cut into pieces", () => {
    assert(
      property(array(string({ unit: constantFrom("a", ".", " ", "\n", "[1]", "!", "e.g.") })), (pieces) => {
        const bare = (text: string) => text.replaceAll(/\s+/g, "");
        return bare(split(...pieces).join(" ")) === bare(pieces.join(""));
      }),
    );
  });
});
