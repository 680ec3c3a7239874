// Measures one service beside bare node, a raw NATS client and a Go peer, prints the table with the targets, and writes RESULTS.md.
// `--quick` takes seconds instead of minutes and writes nothing: its figures only show that the bench works. `--only NAME` measures one
// part and writes nothing either.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { publishing, pulling } from "./rows/durable.ts";
import { requestReply } from "./rows/request-reply.ts";
import { startAndMemory } from "./rows/start-and-memory.ts";
import { streaming } from "./rows/streaming.ts";
import { openBench, type Bench, type Row } from "./support/bench.ts";
import { document, machine, table } from "./support/report.ts";

const parts = {
  "start-and-memory": startAndMemory,
  "request-reply": requestReply,
  pulling: async (one: Bench) => [await pulling(one)],
  publishing: async (one: Bench) => [await publishing(one)],
  streaming,
};
const { values } = parseArgs({ options: { quick: { type: "boolean", default: false }, only: { type: "string" } } });
const { quick, only } = values;
if (only !== undefined && !(only in parts)) throw new Error(`--only takes one of ${Object.keys(parts).join(", ")}`);
if (process.platform !== "linux") throw new Error("the bench reads /proc: run it on Linux");

await using bench = await openBench(quick);
console.error(machine());
const rows: Row[] = [];
for (const [name, measure] of Object.entries(parts)) {
  if (only !== undefined && name !== only) continue;
  console.error(`measuring: ${name}`);
  rows.push(...(await measure(bench)));
}
console.log(table(rows));
if (bench.goMissing !== undefined) console.error(bench.goMissing);
if (!quick && only === undefined) {
  const notes = bench.goMissing === undefined ? [] : [bench.goMissing];
  await writeFile(join(import.meta.dirname, "RESULTS.md"), document(rows, notes));
}
