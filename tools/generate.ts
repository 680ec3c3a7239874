// Makes everything that is derived from proto/. Run after every change there.
// With `--freeze` it also takes today's contract as the one that no later one may break: do so when a change of proto/ lands.
import { derivedFiles, frozenImage, run, writeDerived } from "./derived.ts";

await writeDerived(".");
console.error(`wrote ${(await derivedFiles(".")).length} files of code and the documents of the wire`);

if (process.argv.includes("--freeze")) {
  run("buf", "breaking", "proto", "--against", frozenImage);
  run(
    "buf",
    "build",
    "--path",
    "proto/messages",
    "--path",
    "proto/handler",
    "--exclude-source-info",
    "-o",
    frozenImage,
  );
  console.error(`froze the contract in ${frozenImage}`);
}
