// The result as a table: on the terminal and in RESULTS.md.
import { execFileSync } from "node:child_process";
import { cpus, totalmem, type, release } from "node:os";
import type { Row } from "./bench.ts";

const columns = ["figure", "this framework", "raw @nats-io", "Go peer", "measured against the target", "met"] as const;
const verdict = (met: boolean | undefined) => (met === undefined ? "" : met ? "yes" : "**no**");
const cells = (row: Row) => [row.figure, row.ours, row.raw ?? "", row.go ?? "", row.target, verdict(row.met)];

export function table(rows: readonly Row[]): string {
  const all = [[...columns], ...rows.map(cells)];
  const widths = columns.map((_, index) => Math.max(...all.map((line) => (line[index] ?? "").length)));
  const text = all.map((line) => `| ${line.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join(" | ")} |`);
  return [text[0], `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...text.slice(1)].join("\n");
}

export function machine(): string {
  const [first] = cpus();
  const go = tryRun("go", ["version"]);
  return [
    `${cpus().length} × ${first?.model ?? "unknown processor"}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, ${type()} ${release()}`,
    `Node ${process.version}${go === undefined ? "" : `, ${go.replace("go version ", "")}`}`,
  ].join("; ");
}

function tryRun(file: string, args: readonly string[]): string | undefined {
  try {
    return execFileSync(file, args, { encoding: "utf8" }).trim();
  } catch {
    return undefined; // not on this machine
  }
}

export function document(rows: readonly Row[], notes: readonly string[]): string {
  return `# Benchmarks

Made by \`npm run bench\` on ${new Date().toISOString().slice(0, 10)}: ${machine()}.

${table(rows)}

How it was measured

- One run; the variants of a row take turns, figures are medians. Compare inside this table: the speed of a machine drifts.
- nats-server and the load share one processor, the measured process has another. CPU per message is what the kernel charged to the
  measured process, divided by the messages.
- The service is the bundle of \`bench/echo\`, started with \`--max-semi-space-size=1\` and \`MALLOC_ARENA_MAX=1\`, as an image starts it. The
  peers do the same decode, encode and reply over the NATS client of their language and nothing else. MB are MiB.
- A message of the chat row is an EchoRequest with 900 bytes of text, checked against its field rules by the framework and by nobody else;
  calls carry a traceparent and a deadline. The less there is to decode, the more the framework weighs.
- Memory that is idle is taken 1.5 s after readiness, before the first request; after saturation apart.
${notes.map((note) => `- ${note}\n`).join("")}`;
}
