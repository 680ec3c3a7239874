// The packages as an outside project meets them: installed from tarballs into an empty folder outside the repository, compiled with its
// own strict settings, run against a real nats-server. What stands in ../outside is the service of the README.
import { execFile } from "node:child_process";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { fetchArtifact } from "@pipeline/artifacts";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = join(import.meta.dirname, "../../..");
const tools = join(root, "node_modules", ".bin");
const run = promisify(execFile);
let folder: string;
let tarballs: string[];

/** What npm and the programs here may see of the environment. */
const allowed =
  /^(PATH|HOME|TMPDIR|LANG|NODE_EXTRA_CA_CERTS|SSL_CERT_\w+|(HTTPS?|NO|ALL)_PROXY|(https?|no|all)_proxy|npm_config_(registry|cache|userconfig|globalconfig|cafile))$/i;
const env = () => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => allowed.test(name))),
  PATH: `${tools}${delimiter}${process.env["PATH"] ?? ""}`,
});
/** Runs a program in the outside project. Rejects with what it printed. */
const inside = async (file: string, ...args: string[]): Promise<string> => {
  try {
    return (await run(file, args, { cwd: folder, env: env(), timeout: 300_000 })).stdout;
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`${file} ${args.join(" ")} failed:\n${stdout}${stderr}`, { cause: error });
  }
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "outside-"));
  const packs = join(folder, "..", `${folder.split("/").at(-1)}-tarballs`);
  await run(process.execPath, [join(root, "tools/pack.ts"), packs]);
  tarballs = (await readdir(packs)).filter((name) => name.endsWith(".tgz")).map((name) => join(packs, name));
  await cp(join(import.meta.dirname, "../outside"), folder, { recursive: true });
  const { devDependencies = {} } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as {
    devDependencies?: Record<string, string>;
  };
  await writeFile(
    join(folder, "package.json"),
    JSON.stringify({
      name: "outside",
      private: true,
      type: "module",
      dependencies: Object.fromEntries(tarballs.map((file) => [nameOf(file), `file:${file}`])),
      devDependencies: { "@types/node": devDependencies["@types/node"] },
    }),
  );
  await inside("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error");
  await inside("buf", "generate");
}, 400_000);

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await rm(`${folder}-tarballs`, { recursive: true, force: true });
});

/** `…/pipeline-handler-base-0.1.0.tgz` → `@pipeline/handler-base`. */
const nameOf = (file: string) => `@pipeline/${/pipeline-([a-z-]+)-\d/.exec(file)?.[1] ?? ""}`;

const strict = [
  "--strict",
  "--skipLibCheck",
  "false",
  "--target",
  "es2024",
  "--lib",
  "es2025,esnext.disposable",
  "--types",
  "node",
];
const files = ["greeter.ts", "greeter.test.ts"];

test("the service and its proto are at most twenty lines", async () => {
  const texts = await Promise.all(
    ["greeter.ts", "proto/greeter/v1/greeter.proto"].map((file) => readFile(join(folder, file), "utf8")),
  );
  const lines = texts
    .join("")
    .split("\n")
    .filter((line) => line.trim() !== "");
  expect(lines.length).toBeLessThanOrEqual(20);
});

test("it compiles strictly, libraries included, under nodenext and bundler", async () => {
  expect(await inside("tsc", ...strict, "--module", "nodenext", "--outDir", "built", ...files)).toBe("");
  const bundler = ["--module", "esnext", "--moduleResolution", "bundler", "--noEmit"];
  expect(await inside("tsc", ...strict, ...bundler, ...files)).toBe("");
}, 120_000);

test("it runs and answers", async () => {
  await fetchArtifact("nats-server"); // not within the time of the test
  await inside("tsc", ...strict, "--module", "nodenext", "--outDir", "built", ...files);
  expect(await inside("node", "--test", "built/greeter.test.js")).toMatch(/pass 1\b/);
}, 120_000);

test("the command line is there", async () => {
  expect(await inside(join(folder, "node_modules/.bin/handlers"), "--help")).toContain("handlers");
}, 60_000);

test("every tarball is well-formed", async () => {
  for (const file of tarballs) expect(await inside("publint", "--strict", file)).toContain("All good");
}, 120_000);

test("the types of every library resolve", async () => {
  const libraries = tarballs.filter((file) => nameOf(file) !== "@pipeline/cli");
  expect(libraries.length).toBe(tarballs.length - 1);
  for (const file of libraries) expect(await inside("attw", file, "--profile", "esm-only")).toContain("🟢");
}, 120_000);
