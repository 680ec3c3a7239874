// Python environments of the servers that the clients are tested against: one for each list in requirements/, made once in the cache folder.
// I1: a folder in the cache is whole: it is made under another name and renamed when pip has ended well.
// I2: its name has the hash of what it was made from, so another list or another Python makes another folder.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder } from "@pipeline/artifacts";

const sizes = { llama: "220 MB", ray: "490 MB", milvus: "460 MB" } as const;
export type PythonName = keyof typeof sizes;

/** What pip may see of the environment: where programs are, where home is, and how to reach its index. */
const allowed =
  /^(PATH|HOME|TMPDIR|LANG|PIP_.*|SSL_CERT_.*|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|(HTTPS?|NO|ALL)_PROXY|(https?|no|all)_proxy)$/;
const installWithinMs = 8 * 60_000;
const progressEveryMs = 15_000;

/** The interpreter that has the packages. Rejects with an Error that says what to do. */
export async function python(name: PythonName): Promise<string> {
  const requirements = fileURLToPath(new URL(`requirements/${name}.txt`, import.meta.url));
  const version = await run("python3", ["-c", "import sys, platform; print(sys.version, platform.platform())"]);
  const key = createHash("sha256")
    .update(version)
    .update(await readFile(requirements))
    .digest("hex")
    .slice(0, 16);
  const folder = join(cacheFolder(), `server-${name}-${key}`);
  const interpreter = (parent: string): string => join(parent, "bin", "python");
  if (existsSync(folder)) return interpreter(folder);
  const temporary = `${folder}.${process.pid}.tmp`;
  const started = performance.now();
  const say = (what: string): void =>
    void process.stderr.write(`${what} (${Math.round((performance.now() - started) / 1000)} s)\n`);
  say(`installing the ${name} server for tests into ${folder} (once, ${sizes[name]})`);
  const ticking = setInterval(() => say(`installing the ${name} server`), progressEveryMs);
  try {
    await mkdir(cacheFolder(), { recursive: true });
    await run("python3", ["-m", "venv", "--without-pip", temporary]);
    await run("python3", [
      "-m",
      "pip",
      "--python",
      interpreter(temporary),
      "install",
      "--quiet",
      "--disable-pip-version-check",
      "--no-deps", // the lists are complete
      "--only-binary=:all:",
      "--requirement",
      requirements,
    ]);
    await rename(temporary, folder);
  } catch (reason) {
    await rm(temporary, { recursive: true, force: true });
    if (existsSync(folder)) return interpreter(folder); // another process was faster
    throw new Error(`the ${name} server cannot be installed; python3 with venv and pip is needed: ${String(reason)}`, {
      cause: reason,
    });
  } finally {
    clearInterval(ticking);
  }
  say(`installed the ${name} server`);
  return interpreter(folder);
}

/** Standard output of a program that ended well. */
async function run(program: string, args: readonly string[]): Promise<string> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => allowed.test(key)));
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"], timeout: installWithinMs });
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name]
      .setEncoding("utf8")
      .on("data", (text: string) => void (said[name] = (said[name] + text).slice(-10_000)));
  }
  child.once("error", (reason) =>
    reject(new Error(`${program} cannot be run (${reason.message}): install python3 with venv and pip`)),
  );
  child.once("close", (code, signal) =>
    code === 0
      ? resolve(said.stdout)
      : reject(new Error(`${program} ended with ${String(signal ?? code)}: ${said.stderr}`)),
  );
  return promise;
}
