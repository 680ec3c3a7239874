// What telemetry costs a call: CPU time of the dispatcher's path with and without it, each variant in processes of its own, interleaved.
//   node bench/telemetry/main.ts [--calls 200000] [--rounds 3] [--json]
// The bar: without a collector at most 1.5 µs a call over none.
import { execFile } from "node:child_process";
import { createServer } from "node:http";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";

const { values } = parseArgs({
  options: {
    calls: { type: "string", default: "200000" },
    rounds: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
  },
});

const variants = ["none", "counters", "unsampled", "recording", "gone"] as const;
type Variant = (typeof variants)[number];

const meaning: Readonly<Record<Variant, string>> = {
  none: "no telemetry at all",
  counters: "no collector: what every service does",
  unsampled: "collector, trace not sampled",
  recording: "collector, every call recorded",
  gone: "every call recorded, nobody listens",
};

const collector = createServer((request, response) => {
  request.resume().on("end", () => response.end());
});
await new Promise<void>((resolve) => collector.listen(0, "127.0.0.1", resolve));
const address = collector.address();
if (address === null || typeof address === "string") throw new Error("the collector has no port");
const url = `http://127.0.0.1:${address.port}`;

const collectors: Readonly<Record<Variant, readonly string[]>> = {
  none: [],
  counters: [],
  unsampled: [url],
  recording: [url],
  gone: ["http://127.0.0.1:1"],
};

const execute = promisify(execFile);
const runs = new Map<Variant, number[]>(variants.map((variant) => [variant, []]));
for (let round = 0; round < Number(values.rounds); round += 1) {
  for (const variant of variants) {
    const args = [join(import.meta.dirname, "variant/main.ts"), variant, values.calls, ...collectors[variant]];
    const { stdout } = await execute(process.execPath, ["--max-semi-space-size=1", ...args], { env: {} });
    runs.get(variant)?.push(Number(stdout));
  }
}
collector.closeAllConnections();
collector.close();

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;

const rows = variants.map((variant) => ({
  variant,
  meaning: meaning[variant],
  usPerCall: median(runs.get(variant) ?? []),
}));
const [none = Number.NaN, counters = Number.NaN] = rows.map(({ usPerCall }) => usPerCall);
if (values.json) console.log(JSON.stringify(rows));
else {
  for (const { variant, meaning: what, usPerCall } of rows) {
    const more = (usPerCall - none).toFixed(1);
    console.log(`${variant.padEnd(10)} ${usPerCall.toFixed(1).padStart(6)} µs  ${more.padStart(5)} over none  ${what}`);
  }
}
process.exitCode = counters - none <= 1.5 ? 0 : 1;
