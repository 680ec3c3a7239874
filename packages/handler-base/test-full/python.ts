// Python environments of the servers that the clients are tested against: one for each list in requirements/, made once in the cache folder.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cached } from "./cached.ts";
import { run } from "./run.ts";

const sizes = { llama: "220 MB", ray: "490 MB", milvus: "460 MB" } as const;
export type PythonName = keyof typeof sizes;

const python3 = (...args: string[]): Promise<string> =>
  run("python3", args, { advice: "install python3 with venv and pip" });

const interpreterOf = (folder: string): string => join(folder, "bin", "python");

/** The interpreter that has the packages. Rejects with an Error that says what to do. */
export async function python(name: PythonName): Promise<string> {
  const requirements = fileURLToPath(new URL(`requirements/${name}.txt`, import.meta.url));
  const version = await python3("-c", "import sys, platform; print(sys.version, platform.platform())");
  const folder = await cached({
    name,
    from: [version, await readFile(requirements)],
    cost: sizes[name],
    make: (into) => install(into, requirements).catch((reason: unknown) => Promise.reject(explained(name, reason))),
  });
  return interpreterOf(folder);
}

async function install(folder: string, requirements: string): Promise<void> {
  await python3("-m", "venv", "--without-pip", folder);
  await python3(
    "-m",
    "pip",
    "--python",
    interpreterOf(folder),
    "install",
    "--quiet",
    "--disable-pip-version-check",
    "--no-deps", // the lists are complete
    "--only-binary=:all:",
    "--requirement",
    requirements,
  );
}

const explained = (name: PythonName, cause: unknown): Error =>
  new Error(`the ${name} server cannot be installed; python3 with venv and pip is needed: ${String(cause)}`, { cause });
