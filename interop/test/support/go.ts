// Go programs, built once into the cache folder: the examples of this package and the NATS command line.
//
// I1  A folder in the cache is whole: the build goes into another name, which is renamed when it is done.
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder } from "@pipeline/artifacts";
import { run } from "./run.ts";

const sources = fileURLToPath(new URL("../../go/", import.meta.url));
const natsCli = "github.com/nats-io/natscli/nats@v0.3.0";
const flags = ["-trimpath", "-ldflags=-s -w"];

/** Folder with the programs `chat-event`, `chat-request`, `complete` and `greeting`. Rejects with an Error that says what to do. */
export async function buildExamples(): Promise<string> {
  const hash = createHash("sha256");
  const files = (await readdir(sources, { recursive: true })).filter((name) => /\.(go|mod|sum)$/.test(name)).toSorted();
  for (const file of files) hash.update(file).update(await readFile(join(sources, file)));
  return built("interop-go", hash.digest("hex"), "the Go examples", (folder) =>
    go(["build", ...flags, "-o", `${folder}/`, "./..."], {}),
  );
}

/** Folder with the program `nats`. Rejects with an Error that says what to do. */
export function buildNatsCli(): Promise<string> {
  return built("nats-cli", natsCli, "the NATS command line (about a minute)", (folder) =>
    go(["install", ...flags, natsCli], { GOBIN: folder }),
  );
}

async function built(
  name: string,
  content: string,
  what: string,
  build: (folder: string) => Promise<void>,
): Promise<string> {
  const { stdout: version } = await run("go", ["version"]);
  const key = createHash("sha256").update(version).update(content).digest("hex").slice(0, 16);
  const folder = join(cacheFolder(), `${name}-${key}`);
  if (existsSync(folder)) return folder;
  process.stderr.write(`building ${what}, once\n`);
  const temporary = `${folder}.${process.pid}.tmp`;
  await mkdir(temporary, { recursive: true });
  try {
    await build(temporary);
    await rename(temporary, folder).catch((cause: unknown) => {
      if (!existsSync(folder)) throw cause; // else another process was faster
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return folder;
}

async function go(args: readonly string[], env: Readonly<Record<string, string>>): Promise<void> {
  const { code, stderr } = await run("go", args, { cwd: sources, env, timeoutMs: 1_200_000 });
  if (code !== 0) throw new Error(`go ${args[0] ?? ""} failed; Go 1.26 or newer is needed:\n${stderr.slice(-4000)}`);
}
