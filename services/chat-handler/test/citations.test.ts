// Citations are checked while the answer is written, however it is cut into pieces.
import { describe, expect, test } from "vitest";
import { createCitationFilter, withoutCitations } from "../src/citations.ts";

function filter(pieces: readonly string[], passages: number): { text: string; cited: number[] } {
  const citations = createCitationFilter(passages);
  const text = pieces.map((piece) => citations.push(piece)).join("") + citations.end();
  return { text, cited: [...citations.cited].toSorted((a, b) => a - b) };
}

const cases: readonly (readonly [what: string, answer: string, passages: number, text: string, cited: number[]])[] = [
  ["known ones stay", "It is so [1]. And so [2].", 2, "It is so [1]. And so [2].", [1, 2]],
  ["unknown ones go, with the blank before them", "It is so [3]. Done [0].", 2, "It is so. Done.", []],
  ["of a list the known ones stay", "So [1, 7; 2].", 2, "So [1][2].", [1, 2]],
  ["side by side", "So [1][9][2].", 2, "So [1][2].", [1, 2]],
  ["blanks inside", "So [ 2 ].", 2, "So [2].", [2]],
  ["at the very end", "So [9]", 2, "So", []],
  ["huge numbers are no citations of ours", "In [20261124] so", 2, "In [20261124] so", []],
  ["brackets that are no citations stay", "a [link](x) [a] [ [1x", 2, "a [link](x) [a] [ [1x", []],
  ["code is not touched", "Use `items[7]` or\n```js\na[8] = b[9]\n```\nso [7] [1].", 1, "", [1]],
  ["a stray backtick ends with its paragraph", "A ` b.\n\nSo [7].", 1, "A ` b.\n\nSo.", []],
  ["without sources none is known", "So [1].", 0, "So.", []],
];

describe("citations", () => {
  test.each(cases)("%s", (_what, answer, passages, text, cited) => {
    const expected = text === "" ? answer.replace("so [7] [1]", "so [1]") : text;
    expect(filter([answer], passages)).toEqual({ text: expected, cited });
    expect(filter(answer.split(""), passages)).toEqual({ text: expected, cited });
    for (let at = 0; at <= answer.length; at += 1) {
      expect(filter([answer.slice(0, at), answer.slice(at)], passages)).toEqual({ text: expected, cited });
    }
  });

  test("what is held back stays small, whatever the model writes", () => {
    const citations = createCitationFilter(1);
    let out = "";
    for (const piece of ["[", ...Array.from({ length: 1000 }, () => "1,")]) out += citations.push(piece);
    expect(out.length).toBeGreaterThan(1900);
  });

  test("text passes as it comes: only what may become a citation waits", () => {
    const citations = createCitationFilter(1);
    expect(citations.push("Hello")).toBe("Hello");
    expect(citations.push(", world [")).toBe(", world");
    expect(citations.push("1")).toBe("");
    expect(citations.push("] and")).toBe(" [1] and");
  });

  test("an earlier answer is told without its citations", () => {
    expect(withoutCitations("So [1]. And `a[1]` [2].")).toBe("So. And `a[1]`.");
  });
});
