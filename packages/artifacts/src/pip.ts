// Downloads a wheel with the machine's own pip, which knows its index, proxy and certificates.
import { spawn } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";

/** What pip may see of the environment: where programs are, where home is, and how to reach its index. */
const allowed =
  /^(PATH|HOME|TMPDIR|LANG|VIRTUAL_ENV|PYENV_.*|PIP_.*|SSL_CERT_.*|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|(HTTPS?|NO|ALL)_PROXY|(https?|no|all)_proxy)$/;

/** Why pip gave no wheel. */
export class PipFailure extends Error {
  override readonly name = "PipFailure";
}

/** Downloads one pinned wheel into `folder` and resolves to its path. Rejects with a PipFailure; an abort kills pip. */
export async function downloadWheel(requirement: string, folder: string, signal?: AbortSignal): Promise<string> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => allowed.test(key)));
  const args = [
    "-m",
    "pip",
    "download",
    "--quiet",
    "--no-deps",
    "--only-binary=:all:",
    "--disable-pip-version-check",
    "--dest",
    folder,
    requirement,
  ];
  await new Promise<void>((resolve, reject) => {
    const pip = spawn("python3", args, { env, stdio: ["ignore", "ignore", "pipe"], ...(signal && { signal }) });
    let said = "";
    pip.stderr.on("data", (data: Buffer) => {
      said = (said + data.toString()).slice(-2000);
    });
    pip.once("error", (error: NodeJS.ErrnoException) =>
      reject(
        new PipFailure(
          error.code === "ENOENT" ? "python3 is not on PATH" : `python3 could not be run: ${error.message}`,
        ),
      ),
    );
    pip.once("close", (code) =>
      code === 0 ? resolve() : reject(new PipFailure(lastLine(said) || `pip ended with exit code ${String(code)}`)),
    );
  });
  const wheel = (await readdir(folder)).find((name) => name.endsWith(".whl"));
  if (wheel === undefined) throw new PipFailure(`pip downloaded no wheel for ${requirement}`);
  return join(folder, wheel);
}

const lastLine = (text: string) => text.trim().split("\n").at(-1) ?? "";
