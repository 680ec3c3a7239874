// Writes the files of a new service.
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Files } from "./sources.ts";

/** Never overwrites: a file that is there already is an error. */
export async function writeFiles(folder: string, files: Files): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content, { flag: "wx" });
  }
}
