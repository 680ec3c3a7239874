// What must not compile, does not: each file in negative-types holds one mistake that a service author can make.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";

const tsc = fileURLToPath(new URL("../../../node_modules/.bin/tsc", import.meta.url));
const folder = fileURLToPath(new URL("negative-types", import.meta.url));
let lines: string[] = [];

beforeAll(async () => {
  lines = await new Promise((resolve) => {
    execFile(tsc, ["-p", folder, "--pretty", "false"], (_error, stdout) => resolve(stdout.split("\n")));
  });
}, 120_000);

const errorsIn = (file: string) => lines.filter((line) => line.includes(`${file}.ts(`)).join("\n");

test("a complete implementation compiles", () => {
  expect(errorsIn("fine")).toBe("");
});

test.each([
  ["missing-method", /error TS2741: Property 'chat' is missing/],
  ["wrong-field", /error TS\d+: .*contents/s],
  ["promise-for-stream", /error TS\d+: .*AsyncIterable/s],
  ["unknown-method", /error TS2353: .*'chatter' does not exist/s],
])("%s is a compile error", (file, message) => {
  const text = lines.join("\n");
  expect(errorsIn(file)).not.toBe("");
  expect(text.slice(text.indexOf(`${file}.ts(`))).toMatch(message);
});
