// Installs what runs GGUF models, once, into the cache folder: it is large and bound to a platform, so no newcomer gets it unasked.
//
// I1  The folder is named after the lockfile and appears whole: it is filled under another name and renamed.
// I2  No install script runs, and every package has a hash in the lockfile.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder } from "@pipeline/artifacts";

const source = fileURLToPath(new URL("../../llama/", import.meta.url));
const files = ["package.json", "package-lock.json"];

/** What npm may see of the environment. */
const allowed =
  /^(PATH|HOME|TMPDIR|LANG|NODE_EXTRA_CA_CERTS|SSL_CERT_.*|npm_config_.*|(HTTPS?|NO|ALL)_PROXY|(https?|no|all)_proxy)$/i;

/** Folder whose node_modules holds node-llama-cpp. Rejects with an Error of one line; an abort kills npm. */
export async function installRuntime(log: (line: string) => void, signal?: AbortSignal): Promise<string> {
  const lock = await readFile(join(source, "package-lock.json"));
  const name = `llama-${createHash("sha256").update(lock).digest("hex").slice(0, 12)}`;
  const folder = join(cacheFolder(), name);
  if (await isFolder(folder)) return folder;
  log("installing node-llama-cpp (once, about 115 MB)");
  await mkdir(cacheFolder(), { recursive: true });
  const temporary = await mkdtemp(join(cacheFolder(), `${name}.`));
  try {
    for (const file of files) await copyFile(join(source, file), join(temporary, file));
    await writeFile(join(temporary, ".npmrc"), "ignore-scripts=true\naudit=false\nfund=false\nupdate-notifier=false\n");
    await npmInstall(temporary, signal);
    await rename(temporary, folder).catch(async (error: unknown) => {
      if (!(await isFolder(folder))) throw error; // else another process was faster, with the same content
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return folder;
}

function npmInstall(folder: string, signal?: AbortSignal): Promise<void> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => allowed.test(key)));
  const args = ["ci", "--ignore-scripts", "--omit=dev", "--include=optional", "--loglevel=error"];
  return new Promise((resolve, reject) => {
    const npm = spawn("npm", args, {
      cwd: folder,
      env,
      stdio: ["ignore", "ignore", "pipe"],
      ...(signal && { signal }),
    });
    let said = "";
    npm.stderr.on("data", (data: Buffer) => {
      said = (said + data.toString()).slice(-2000);
    });
    npm.once("error", (error) => reject(new Error(`npm could not be run: ${error.message}`)));
    npm.once("close", (code) => {
      const [first = `exit code ${String(code)}`] = said.split("\n").filter((line) => line.trim() !== "");
      if (code === 0) resolve();
      else reject(new Error(`node-llama-cpp could not be installed: ${first}`));
    });
  });
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
