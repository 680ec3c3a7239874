// Everything that is derived from proto/, written below a folder of one's choice: the repository itself, or a temporary one to compare
// with. Runs from the repository's root with its tools on PATH.
import { execFileSync } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join, relative } from "node:path";

/** Folders that hold nothing but derived files. */
const ownFolders = ["packages/messages/src/gen", "packages/handler-base/test/gen"];

/** The contract as it was frozen last: no later one may break it. */
export const frozenImage = "proto/frozen.binpb";

/** Writes all derived files below `folder`, at their paths in the repository. Throws where a tool fails, which has said why. */
export async function writeDerived(folder: string): Promise<void> {
  run("node", "tools/print-validate-proto.mjs", folder);
  run("buf", "generate", "--output", folder);
  run("buf", "generate", "--output", folder, "--template", "packages/handler-base/test/buf.gen.yaml");
  // Imported only now: it reads the bindings with the code that was just made.
  const { writeWireDocuments } = await import("./wire/write.ts");
  await writeWireDocuments(folder);
}

/** Paths of the derived files that the repository has in folders of their own. */
export async function derivedFiles(root: string): Promise<string[]> {
  const lists = await Promise.all(ownFolders.map((folder) => filesBelow(join(root, folder))));
  return lists.flat().map((path) => relative(root, path));
}

/** Paths of all files below a folder. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** Runs a tool whose output is the user's to see. */
export function run(command: string, ...args: readonly string[]): void {
  execFileSync(command, args, { stdio: ["ignore", "inherit", "inherit"] });
}
