// Builds the Go peer once into the cache folder.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, globSync } from "node:fs";
import { cp, mkdir, readFile, rename, rm } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { cacheFolder } from "@pipeline/artifacts";

const root = join(import.meta.dirname, "../..");
const source = join(root, "bench/peers/go");
const proto = "packages/handler-base/test/proto/echo";
const run = promisify(execFile);

/** Path of the program, or why there is none: the bench then goes on without its rows. */
export async function buildGoPeer(): Promise<{ readonly path: string } | { readonly missing: string }> {
  try {
    return { path: await build() };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { missing: `the Go peer could not be built (Go 1.24 or newer is needed): ${text.slice(0, 500)}` };
  }
}

async function build(): Promise<string> {
  const { stdout: version } = await run("go", ["version"]);
  const hash = createHash("sha256").update(version);
  for (const file of [
    ...globSync("*", { cwd: source })
      .toSorted()
      .map((name) => join(source, name)),
    ...protos(),
  ]) {
    hash.update(await readFile(file));
  }
  const folder = join(cacheFolder(), `bench-go-${hash.digest("hex").slice(0, 16)}`);
  const program = join(folder, "peer");
  if (existsSync(program)) return program;
  console.error("building the Go peer (once)");
  const temporary = `${folder}.${process.pid}.tmp`;
  await mkdir(temporary, { recursive: true });
  try {
    await cp(source, temporary, { recursive: true });
    const plugins = join(temporary, "bin");
    const go = (...args: string[]) => run("go", args, { cwd: temporary, timeout: 600_000 });
    await go("build", "-o", join(plugins, "protoc-gen-go"), "google.golang.org/protobuf/cmd/protoc-gen-go");
    const template = join(source, "buf.gen.yaml");
    await run(
      "buf",
      ["generate", "--template", template, "--path", proto, "--include-imports", "--output", temporary],
      {
        cwd: root,
        env: { ...process.env, PATH: [plugins, join(root, "node_modules/.bin"), process.env["PATH"]].join(delimiter) },
      },
    );
    await go("build", "-trimpath", "-ldflags=-s -w", "-o", "peer", ".");
    await rename(temporary, folder);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return program;
}

const protos = () => globSync(`${proto}/**/*.proto`, { cwd: root }).map((name) => join(root, name));
