// Servers in the cache folder: each is made once, and says how long that takes.
// I1: a folder in the cache is whole: it is made under another name and renamed when all has ended well.
// I2: its name has the hash of what it was made from, so another list, source or compiler makes another folder.
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder } from "@pipeline/artifacts";

export interface Made {
  /** "ray" */
  readonly name: string;
  /** All that it depends on. */
  readonly from: readonly (string | Uint8Array)[];
  /** What making it costs: "490 MB". */
  readonly cost: string;
  /** Fills the folder, which does not exist yet. */
  readonly make: (folder: string) => Promise<void>;
}

const progressEveryMs = 15_000;

/** The folder with the server. Rejects with what `make` rejects with; nothing is left behind then. */
export async function cached({ name, from, cost, make }: Made): Promise<string> {
  const hash = createHash("sha256");
  for (const part of from) hash.update(part);
  const folder = join(cacheFolder(), `server-${name}-${hash.digest("hex").slice(0, 16)}`);
  if (existsSync(folder)) return folder;
  const temporary = `${folder}.${process.pid}.tmp`;
  const started = performance.now();
  const say = (what: string): void =>
    void process.stderr.write(`${what} (${Math.round((performance.now() - started) / 1000)} s)\n`);
  say(`installing the ${name} server for tests into ${folder} (once, ${cost})`);
  const ticking = setInterval(() => say(`installing the ${name} server`), progressEveryMs);
  try {
    await mkdir(cacheFolder(), { recursive: true });
    await make(temporary);
    await rename(temporary, folder);
  } catch (reason) {
    await rm(temporary, { recursive: true, force: true });
    if (existsSync(folder)) return folder; // another process was faster
    throw reason;
  } finally {
    clearInterval(ticking);
  }
  say(`installed the ${name} server`);
  return folder;
}
