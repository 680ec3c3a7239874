// The README shows the very files that the outside project is made of, and names only verbs that exist.
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";

const read = (path: string) => readFile(new URL(`../../../${path}`, import.meta.url), "utf8");

test("the README's service is the one that the outside project compiles and runs", async () => {
  const readme = await read("README.md");
  for (const file of ["greeter.ts", "proto/greeter/v1/greeter.proto"]) {
    expect(readme).toContain(await read(`packages/shipped/outside/${file}`));
  }
});

test("the README names scripts that there are", async () => {
  const readme = await read("README.md");
  const { scripts } = JSON.parse(await read("package.json")) as { scripts: Record<string, string> };
  const named = new Set([...readme.matchAll(/`?npm (?:run (?:--silent )?)?([a-z][a-z:]*)/g)].map(([, name]) => name));
  expect([...named].filter((name) => name !== undefined && !(name in scripts) && name !== "run")).toEqual([]);
});
