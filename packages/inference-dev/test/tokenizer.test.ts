import { assert, property, string } from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { maxTokens, tokenize } from "../src/embeddings/tokenizer.ts";
import { readVocabulary, type Vocabulary } from "../src/embeddings/vocabulary.ts";

let vocabulary: Vocabulary;
beforeAll(async () => {
  vocabulary = await readVocabulary();
});

describe("tokens", () => {
  // made with the WordPiece tokenizer of the Python package `tokenizers` over the same vocabulary
  test.each([
    ["hello world", [7592, 2088]],
    ["Café Zürich naïve", [7668, 10204, 15743]],
    ["num_ack_pending=3", [16371, 2213, 1035, 9353, 2243, 1035, 14223, 1027, 1017]],
    ["unaffable", [14477, 20961, 3468]],
    ["日本語 text", [1864, 1876, 1950, 3793]],
    ["a.b-c/d?!", [1037, 1012, 1038, 1011, 1039, 1013, 1040, 1029, 999]],
    ["\u200bzero\u00a0width", [5717, 9381]],
    ["😀 ok", [100, 7929]],
    ["x".repeat(101), [100]],
    ["Streaming replies, e.g. `restart`", [11058, 14054, 1010, 1041, 1012, 1043, 1012, 1036, 23818, 1036]],
    ["ß ﬁ ½ İstanbul", [1096, 1984, 1092, 9960]],
    ["$5 + 3 < 10 ^ ~ |", [1002, 1019, 1009, 1017, 1026, 2184, 1034, 1066, 1064]],
    ["don't", [2123, 1005, 1056]],
    ["", []],
    ["[SEP] [unused3]", [1031, 19802, 1033, 1031, 15171, 2509, 1033]],
  ])("of %j are those of the reference", (text, ids) => {
    expect(tokenize(text, vocabulary)).toEqual([101, ...ids, 102]);
  });

  test("are at most 256 with both marks, whatever the text", () => {
    expect(tokenize("word ".repeat(5000), vocabulary)).toHaveLength(maxTokens);
    assert(
      property(string({ unit: "binary", maxLength: 2000 }), (text) => {
        const ids = tokenize(text, vocabulary);
        return (
          ids.length <= maxTokens &&
          ids[0] === 101 &&
          ids.at(-1) === 102 &&
          ids.slice(1, -1).every((id) => id === 100 || (id > 103 && id < 30_522))
        );
      }),
    );
  });

  test("of a huge text cost no more than those of a long one", () => {
    const began = performance.now();
    tokenize("x".repeat(8_000_000), vocabulary);
    expect(performance.now() - began).toBeLessThan(5000);
  });
});
