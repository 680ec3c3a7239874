// The Python programs of this package with what they import, which pip installs once into the cache folder.
//
// I1  A folder in the cache is whole: pip installs into another name, which is renamed when it is done.
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder } from "@pipeline/artifacts";
import { run, type Ended } from "./run.ts";

const programs = fileURLToPath(new URL("../../python/", import.meta.url));
const requirements = join(programs, "requirements.txt");

export interface Python {
  /** Runs one of the programs, or any Python file, against a nats-server. Resolves when it has ended. */
  readonly run: (program: string, args: readonly string[], natsUrl: string) => Promise<Ended>;
}

/** Resolves when everything that the programs import is there. Rejects with an Error that says what to do. */
export async function openPython(): Promise<Python> {
  const packages = await installed();
  return {
    run: (program, args, natsUrl) =>
      run("python3", [join(programs, program), ...args], {
        env: { PYTHONPATH: packages, PYTHONDONTWRITEBYTECODE: "1", NATS_URL: natsUrl },
      }),
  };
}

async function installed(): Promise<string> {
  const { code: usable, stdout: version } = await run("python3", [
    "-c",
    "import pip, sys; print(sys.version, sys.platform)",
  ]);
  if (usable !== 0) throw new Error("python3 has no pip: install it (Debian: apt-get install python3-pip)");
  const key = createHash("sha256")
    .update(version)
    .update(await readFile(requirements))
    .digest("hex")
    .slice(0, 16);
  const folder = join(cacheFolder(), `python-${key}`);
  if (existsSync(folder)) return folder;
  process.stderr.write("installing the Python packages of the examples (once)\n");
  await mkdir(cacheFolder(), { recursive: true });
  const temporary = `${folder}.${process.pid}.tmp`;
  const args = [
    "--disable-pip-version-check",
    "--only-binary=:all:",
    "--target",
    temporary,
    "--requirement",
    requirements,
  ];
  const { code, stderr } = await run("python3", ["-m", "pip", "install", "--quiet", ...args], { timeoutMs: 300_000 });
  if (code !== 0) {
    await rm(temporary, { recursive: true, force: true });
    throw new Error(
      `the Python packages of the examples could not be installed; python3 with pip is needed:\n${stderr}`,
    );
  }
  await rename(temporary, folder).catch(async (cause: unknown) => {
    await rm(temporary, { recursive: true, force: true });
    if (!existsSync(folder)) throw cause; // else another process was faster
  });
  return folder;
}
