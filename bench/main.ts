// Measures one service beside bare node, a raw NATS client and a Go peer, prints the table with the targets, and writes RESULTS.md.
// `--quick` takes seconds instead of minutes and writes nothing: its figures only show that the bench works.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { publishing, pulling } from "./rows/durable.ts";
import { requestReply } from "./rows/request-reply.ts";
import { startAndMemory } from "./rows/start-and-memory.ts";
import { streaming } from "./rows/streaming.ts";
import { openBench, type Row } from "./support/bench.ts";
import { document, machine, table } from "./support/report.ts";

const { values } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
if (process.platform !== "linux") throw new Error("the bench reads /proc: run it on Linux");

await using bench = await openBench(values.quick);
console.error(machine());
const rows: Row[] = [];
for (const [name, measure] of [
  ["start and memory", startAndMemory],
  ["request-reply", requestReply],
  ["pulling", async (one: typeof bench) => [await pulling(one)]],
  ["publishing", async (one: typeof bench) => [await publishing(one)]],
  ["streaming", streaming],
] as const) {
  console.error(`measuring: ${name}`);
  rows.push(...(await measure(bench)));
}
console.log(table(rows));
if (bench.goMissing !== undefined) console.error(bench.goMissing);
if (!values.quick) {
  const notes = bench.goMissing === undefined ? [] : [bench.goMissing];
  await writeFile(join(import.meta.dirname, "RESULTS.md"), document(rows, notes));
}
