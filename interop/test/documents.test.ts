// The documents of the wire hang together: links lead somewhere, references exist, and every program that is shown is one that tests run.
import { readdir, readFile } from "node:fs/promises";
import { expect, test } from "vitest";

const root = new URL("../../", import.meta.url);
const read = (path: string) => readFile(new URL(path, root), "utf8");
const wire = await read("docs/wire.md");

test("links within docs/wire.md lead to a section", () => {
  const prose = wire.replaceAll(/^```[\s\S]*?^```/gm, "");
  const anchors = [...prose.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );
  const links = [...prose.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor]) => anchor);
  expect(links.length).toBeGreaterThan(50);
  expect(links.filter((anchor) => !anchors.includes(anchor ?? ""))).toEqual([]);
  expect(anchors.filter((anchor, index) => anchors.indexOf(anchor) !== index)).toEqual([]);
});

test("docs/wire.md shows every example program whole", async () => {
  const programs = await Promise.all(
    ["python", "go", "nats-cli"].map(async (folder) => {
      const found = await readdir(new URL(`interop/${folder}/`, root), { recursive: true });
      return found.filter((name) => /\.(py|go|sh)$/.test(name)).map((name) => `interop/${folder}/${name}`);
    }),
  );
  expect(programs.flat().length).toBeGreaterThan(10);
  for (const program of programs.flat()) {
    expect(wire.includes((await read(program)).trimEnd()), `${program} is not in docs/wire.md`).toBe(true);
  }
});

test("references of docs/asyncapi.json exist and every token of a subject is described", async () => {
  const document: unknown = JSON.parse(await read("docs/asyncapi.json"));
  const at = (value: unknown, key: string): unknown =>
    typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
  const visit = (value: unknown): string[] =>
    typeof value !== "object" || value === null
      ? []
      : Object.entries(value).flatMap(([key, inner]) =>
          key === "$ref" && typeof inner === "string" ? [inner] : visit(inner),
        );
  const references = visit(document);
  expect(references.length).toBeGreaterThan(50);
  expect(references.filter((one) => one.slice(2).split("/").reduce(at, document) === undefined)).toEqual([]);
  for (const channel of Object.values(at(document, "channels") as object) as unknown[]) {
    const address = at(channel, "address");
    const named = typeof address === "string" ? [...address.matchAll(/\{(\w+)\}/g)].map(([, name]) => name) : [];
    expect(Object.keys(at(channel, "parameters") ?? {})).toEqual(named);
  }
});
