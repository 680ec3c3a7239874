// A new service in a folder of its own outside this repository, on tarballs of our packages.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { copyFile, mkdir, readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { inferenceEnvironment } from "../local/environment.ts";
import { UsageError } from "../usage.ts";
import { writeFiles } from "./files.ts";
import { manifests } from "./manifests.ts";
import { outsideReadme } from "./readme.ts";
import type { ServiceName } from "./service-name.ts";
import { sources } from "./sources.ts";

export interface OutsideOptions {
  readonly folder: string;
  readonly name: ServiceName;
  /** Folder of tarballs; without it they are packed from the repository. */
  readonly packages: string | undefined;
  readonly repository: string;
  readonly signal: AbortSignal;
}

/** Where the tarballs are kept in the new folder, so that it can be moved. */
const kept = "packages";
const needed = ["artifacts", "cli", "handler-base", "messages", "testkit"];

/** Makes the folder. Throws a UsageError if it is not empty or the tarballs are not complete. */
export async function makeOutside({ folder, name, packages, repository, signal }: OutsideOptions): Promise<void> {
  if (existsSync(folder) && (await readdir(folder)).length > 0) {
    throw new UsageError(`${folder} is not empty; name an empty folder by --dir`);
  }
  const target = join(folder, kept);
  if (packages === undefined) await pack(repository, target, signal);
  const given = packages ?? target;
  const tarballs = tarballsIn(existsSync(given) ? await readdir(given) : []);
  const missing = needed.filter((one) => !tarballs.has(one));
  if (missing.length > 0) {
    throw new UsageError(`${given} has no tarball of ${missing.join(", ")}; make them with: node tools/pack.ts FOLDER`);
  }
  if (packages !== undefined) {
    await mkdir(target, { recursive: true });
    for (const file of tarballs.values()) await copyFile(join(packages, file), join(target, file));
  }
  const dependencies = new Map(
    [...tarballs].map(([one, file]) => [`@pipeline/${one}`, `file:${kept}/${basename(file)}`]),
  );
  await writeFiles(folder, {
    ...sources(name, "node:test"),
    ...manifests.outside(name, dependencies),
    "README.md": outsideReadme(name),
  });
}

async function pack(repository: string, target: string, signal: AbortSignal): Promise<void> {
  const script = join(repository, "tools", "pack.ts");
  if (!existsSync(script)) {
    throw new UsageError("name the folder with the tarballs of the packages by --packages");
  }
  process.stderr.write("packing the packages\n");
  try {
    await promisify(execFile)(process.execPath, [script, target], {
      cwd: repository,
      env: inferenceEnvironment(),
      signal,
    });
  } catch (error) {
    signal.throwIfAborted();
    const said = error instanceof Error && "stderr" in error ? String(error.stderr) : String(error);
    throw new Error(`the packages could not be packed: ${said.replaceAll(/\s*\n\s*/g, " ").slice(-500)}`, {
      cause: error,
    });
  }
}

/** File names by package: `pipeline-handler-base-0.1.0.tgz` is `handler-base`. */
function tarballsIn(files: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const file of files) {
    const one = /^pipeline-([a-z-]+)-\d[\w.-]*\.tgz$/.exec(file)?.[1];
    if (one !== undefined && needed.includes(one)) found.set(one, file);
  }
  return found;
}
