// Fails where a derived file is not what its sources say today. Generates into a temporary folder; the working tree stays as it is.
import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { derivedFiles, filesBelow, writeDerived } from "./derived.ts";

const folder = mkdtempSync(join(tmpdir(), "generated-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
await writeDerived(folder);

const wanted = (await filesBelow(folder)).map((path) => relative(folder, path));
const problems: string[] = [];
for (const path of wanted) {
  const [should, is] = await Promise.all([readFile(join(folder, path)), readFile(path).catch(() => undefined)]);
  if (is === undefined) problems.push(`${path} is missing`);
  else if (!should.equals(is)) problems.push(`${path} is not what its sources say`);
}
for (const path of await derivedFiles(".")) {
  if (!wanted.includes(path)) problems.push(`${path} comes from nothing in proto/ any more`);
}
if (problems.length > 0) {
  console.error(`${problems.join("\n")}\nRun npm run generate and commit the result.`);
  process.exitCode = 1;
}
