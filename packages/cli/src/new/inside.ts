// A new service in this repository: services/NAME, its proto among the repository's buf modules.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { plainEnvironment } from "../local/environment.ts";
import { UsageError } from "../usage.ts";
import { writeFiles } from "./files.ts";
import { manifests } from "./manifests.ts";
import { insideReadme } from "./readme.ts";
import type { ServiceName } from "./service-name.ts";
import { sources, type Files } from "./sources.ts";

/** Makes the service and its generated code. Returns its folder. Throws a UsageError where the name is taken. */
export async function makeInside(repository: string, name: ServiceName, signal: AbortSignal): Promise<string> {
  const below = `services/${name.kebab}`;
  const folder = join(repository, below);
  if (existsSync(folder)) throw new UsageError(`${folder} is there already; choose another name`);
  const files: Files = {
    ...sources(name, "vitest"),
    ...manifests.inside(name),
    "README.md": insideReadme(name),
  };
  await writeFiles(folder, files);
  await addModule(join(repository, "buf.yaml"), `${below}/proto`);
  const run = (command: string, args: readonly string[]) =>
    promisify(execFile)(join(repository, "node_modules", ".bin", command), [...args], {
      cwd: repository,
      env: {
        ...plainEnvironment(),
        PATH: `${join(repository, "node_modules", ".bin")}${delimiter}${process.env["PATH"] ?? ""}`,
      },
      signal,
    });
  await run("buf", ["generate", "--template", `${below}/buf.gen.yaml`]);
  await run("oxfmt", [below]);
  return folder;
}

/** Adds a module after the last one. Idempotent. */
async function addModule(file: string, module: string): Promise<void> {
  const lines = (await readFile(file, "utf8")).split("\n");
  const line = `  - path: ${module}`;
  if (lines.includes(line)) return;
  const last = lines.findLastIndex((one) => one.startsWith("  - path: "));
  if (last === -1) throw new Error(`${file} names no modules`);
  await writeFile(file, lines.toSpliced(last + 1, 0, line).join("\n"));
}
