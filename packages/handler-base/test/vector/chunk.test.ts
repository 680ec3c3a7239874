import { array, assert, constantFrom, integer, property, string, type Arbitrary } from "fast-check";
import { expect, test } from "vitest";
import { chunkMarkdown } from "../../src/vector/index.ts";
import { sizeOf } from "../../src/vector/passage-text.ts";

const cut = (source: string, maxWords = 40) => chunkMarkdown(source, { uri: "docs/a.md", maxWords });
const texts = (source: string, maxWords = 40) => cut(source, maxWords).map((passage) => passage.text);

test("every passage knows its document, its section and its position", () => {
  const passages = cut("# Guide\n\nIntro.\n\n## Start\n\nFirst.\n\n### Deep\n\nSecond.\n\n## End\n\nThird.");
  expect(passages.map(({ title, section, position, text }) => [title, section, position, text])).toEqual([
    ["Guide", "", 0, "Intro."],
    ["Guide", "Start", 1, "First."],
    ["Guide", "Start › Deep", 2, "Second."],
    ["Guide", "End", 3, "Third."],
  ]);
  expect(new Set(passages.map((passage) => passage.id)).size).toBe(4);
  expect(passages[0]?.uri).toBe("docs/a.md");
});

test("the title comes from the option, the front matter, the first heading, the file's name", () => {
  const titleOf = (source: string, title?: string) =>
    chunkMarkdown(source, { uri: "docs/a.md", ...(title !== undefined && { title }) })[0]?.title;
  expect(titleOf("---\ntitle: 'From front'\n---\n# Head\n\nx", "Told")).toBe("Told");
  expect(titleOf("---\ntitle: 'From front'\n---\n# Head\n\nx")).toBe("From front");
  expect(titleOf("# Head\n\nx")).toBe("Head");
  expect(titleOf("x")).toBe("a.md");
});

test("a heading that nothing follows is a passage, one that has sections below is not", () => {
  expect(texts("# Title\n\n## Empty\n\n## Full\n\nText.\n\n## Last")).toEqual(["Empty", "Text.", "Last"]);
  expect(texts("# Only a title")).toEqual(["Only a title"]);
});

test("ids stay when the document changes elsewhere, and change with title, section and text", () => {
  const before = cut("# T\n\n## A\n\none\n\n## B\n\ntwo");
  const after = cut("# T\n\n## New\n\nzero\n\n## A\n\none\n\n## B\n\ntwo, changed");
  expect(after.find((each) => each.text === "one")?.id).toBe(before[0]?.id);
  expect(after.find((each) => each.text.startsWith("two"))?.id).not.toBe(before[1]?.id);
  expect(cut("# Other\n\n## A\n\none")[0]?.id).not.toBe(before[0]?.id);
  expect(cut("# T\n\n## Z\n\none")[0]?.id).not.toBe(before[0]?.id);
});

test("the same text twice in one section has two ids", () => {
  const passages = cut(`# T\n\nsame ${"word ".repeat(38)}\n\nsame ${"word ".repeat(38)}`);
  expect(passages).toHaveLength(2);
  expect(new Set(passages.map((passage) => passage.id)).size).toBe(2);
});

test("neighbours share a passage up to the limit, prose is cut between sentences", () => {
  expect(texts("One two three.\n\nFour five six.\n\nSeven eight nine.", 6)).toEqual([
    "One two three.\n\nFour five six.",
    "Seven eight nine.",
  ]);
  expect(texts("One two three. Four five six. Seven eight nine.", 6)).toEqual([
    "One two three. Four five six.",
    "Seven eight nine.",
  ]);
});

test("list items stay below each other, and the sentence that announces them stays with them", () => {
  expect(texts("The parts are:\n\n- one\n- two\n  goes on\n- three")).toEqual([
    "The parts are:\n\n- one\n- two goes on\n- three",
  ]);
  expect(texts(`${"word ".repeat(9)}.\n\nThe parts are:\n\n- one two three\n- four five six`, 13)).toEqual([
    `${"word ".repeat(9)}.`,
    "The parts are:\n\n- one two three\n- four five six",
  ]);
});

test("code keeps its lines and its fences, whole up to three times the limit and with a fence around each piece beyond", () => {
  const lines = Array.from({ length: 10 }, (_, at) => `  line ${at};`);
  const short = `\`\`\`ts\n${lines.slice(0, 5).join("\n")}\n\`\`\``;
  expect(texts(short, 6)).toEqual([short]);
  const pieces = texts(`\`\`\`ts\n${lines.join("\n")}\n\`\`\``, 6);
  expect(pieces.length).toBeGreaterThan(2);
  for (const piece of pieces) expect(piece).toMatch(/^```ts\n(?: {2}line \d;\n){1,3}```$/);
  expect(pieces.flatMap((piece) => piece.split("\n").slice(1, -1))).toEqual(lines);
});

test("code without its closing fence or without any fence gets one", () => {
  expect(texts("```sh\nrun this")).toEqual(["```sh\nrun this\n```"]);
  expect(texts("Text.\n\n    first line\n    second line\n\nText.")).toEqual([
    "Text.\n\n```\nfirst line\nsecond line\n```\n\nText.",
  ]);
});

test("a heading in code is code, inline fences are text", () => {
  expect(texts("```\n# no heading\n```\n\n## Real\n\nText.")).toEqual(["```\n# no heading\n```", "Text."]);
  expect(cut("```inline```\n\n## Real\n\nText.").map((each) => each.section)).toEqual(["", "Real"]);
});

test("each piece of a table has its head", () => {
  const rows = Array.from({ length: 9 }, (_, at) => `| key ${at} | value ${at} |`);
  const table = ["| a | b |", "|---|---|", ...rows].join("\n");
  expect(texts(table, 200)).toEqual([table]);
  const pieces = texts(table, 20);
  expect(pieces.length).toBeGreaterThan(1);
  for (const piece of pieces) expect(piece.startsWith("| a | b |\n|---|---|\n| key")).toBe(true);
  expect(pieces.flatMap((piece) => piece.split("\n").slice(2))).toEqual(rows);
});

test("marks that say nothing to a reader of text go, what they hold stays", () => {
  expect(texts('See [the `wire` page](docs/wire.md "x") and ![a picture](p.png).')).toEqual([
    "See the `wire` page and a picture.",
  ]);
  expect(texts("> A quotation\n> goes on.\n\n> ```\n> code\n> ```")).toEqual([
    "A quotation goes on.\n\n```\ncode\n```",
  ]);
  expect(texts("Before <!-- hidden --> after <!-- over\nlines\n--> end.\n\n`<!-- shown -->`")).toEqual([
    "Before  after\n\nend.\n\n`<!-- shown -->`",
  ]);
  expect(texts("Text <!-- never closed\nwith more lines.")).toEqual(["Text <!-- never closed with more lines."]);
  expect(cut("## The `ai.chat.user.*.message` **subject** of __dirname__ *now*\n\nx")[0]?.section).toBe(
    "The ai.chat.user.*.message subject of dirname now",
  );
  expect(texts("[1]: https://example.test\n[^1]: note\n\n[Important]: read this first")).toEqual([
    "[^1]: note\n\n[Important]: read this first",
  ]);
});

const word = constantFrom("alpha", "beta", "gamma.", "Delta", "x_y", "1999", "ends.", "Ünïcode", "語", "a|b", "`c`");
const words = (most: number): Arbitrary<string> =>
  array(word, { minLength: 1, maxLength: most }).map((all) => all.join(" "));
const block: Arbitrary<string> = constantFrom(
  "paragraph",
  "item",
  "code",
  "table",
  "heading",
  "quote",
  "indented",
).chain((kind) =>
  words(60).map((text) => {
    const parts = text.split(" ");
    switch (kind) {
      case "item":
        return parts.map((each) => `- ${each}`).join("\n");
      case "code":
        return `\`\`\`\n${parts.join("\n").replaceAll("`", "")}\n\`\`\``;
      case "table":
        return ["| h |", "| --- |", ...parts.map((each) => `| ${each.replaceAll("|", "")} |`)].join("\n");
      case "heading":
        return `## ${text}`;
      case "quote":
        return parts.map((each) => `> ${each}`).join("\n");
      case "indented":
        return parts.map((each) => `    ${each}`).join("\n");
      default:
        return text;
    }
  }),
);
/** Letters and digits in order, as often as they stand there. */
const letters = (text: string): string[] => (text.match(/[\p{L}\p{N}]+/gu) ?? []).filter((each) => each !== "h");

test("no word of any document is lost, in whatever pieces it is cut", () => {
  assert(
    property(array(block, { maxLength: 8 }), integer({ min: 5, max: 60 }), (blocks, maxWords) => {
      const passages = cut(blocks.join("\n\n"), maxWords);
      const found = new Set(passages.flatMap((each) => letters(`${each.section} ${each.text}`)));
      for (const each of letters(blocks.join("\n"))) expect(found).toContain(each);
      const all = passages.flatMap((each) => letters(each.text)).length;
      const headings = blocks.filter((each) => each.startsWith("## ")).flatMap(letters).length;
      expect(all).toBeGreaterThanOrEqual(blocks.flatMap(letters).length - headings);
    }),
  );
});

test("any text at all is cut into passages of bounded size with bounded headings", () => {
  const anything = array(
    constantFrom(
      "#",
      "```",
      "~~~",
      "|",
      "---",
      "- ",
      "> ",
      "<!--",
      "-->",
      "[",
      "](",
      ")",
      " ",
      "\n",
      "\n\n",
      "    ",
      "語語語語",
    ),
    { maxLength: 200 },
  );
  assert(
    property(
      anything,
      string({ unit: "binary", maxLength: 100 }),
      integer({ min: 5, max: 50 }),
      (parts, noise, maxWords) => {
        for (const source of [parts.join(""), parts.join(noise), noise.repeat(30)]) {
          for (const passage of chunkMarkdown(source, { maxWords })) {
            expect(sizeOf(passage.text)).toBeLessThanOrEqual(maxWords * 3.5 + 4);
            expect(passage.title.length).toBeLessThanOrEqual(250);
            expect(passage.section.length).toBeLessThanOrEqual(620);
            expect(passage.text).not.toBe("");
          }
        }
      },
    ),
  );
});

test.each([
  ["one word without end", "x".repeat(500_000)],
  ["no spaces", "語".repeat(200_000)],
  ["one line of code", `\`\`\`\n${"y".repeat(500_000)}\n\`\`\``],
  ["a table of very many columns", `|${"a|".repeat(50_000)}\n|${"-|".repeat(50_000)}\n|${"b|".repeat(50_000)}`],
  ["a heading without end", `# ${"title ".repeat(50_000)}\n\ntext\n\n## ${"section ".repeat(50_000)}\n\ntext`],
  ["opening brackets", "[".repeat(300_000)],
  ["opening comments", "<!--".repeat(100_000)],
  ["opening comments on lines of their own", "<!-- a\n".repeat(100_000)],
  ["a heading of spaces", `#${" ".repeat(300_000)}x${"#".repeat(1000)} ${" ".repeat(300_000)}.`],
  ["a table rule of spaces", `|\n|${" ".repeat(300_000)}.`],
  ["quotation marks", ">".repeat(300_000)],
  ["backticks", "` ".repeat(200_000)],
])("%s ends soon and in bounded passages", (_name, source) => {
  const started = performance.now();
  const passages = cut(source, 120);
  expect(performance.now() - started).toBeLessThan(10_000);
  for (const passage of passages) expect(passage.text.length).toBeLessThanOrEqual(120 * 16 * 3.5);
});
