// Adds up what vitest printed in several logs and prints `N passed, N failed`. Exit code 1 on any failure, skip or failed step.
import { readFileSync } from "node:fs";

const [steps = "0", ...files] = process.argv.slice(2);
const text = files
  .map((file) => readFileSync(file, "utf8"))
  .join("\n")
  // oxlint-disable-next-line no-control-regex
  .replaceAll(/\u001b\[[0-9;]*m/g, "");
let passed = 0;
let failed = 0;
let skipped = 0;
for (const [, line = ""] of text.matchAll(/^\s*Tests\s+(.*)$/gm)) {
  passed += Number(/(\d+) passed/.exec(line)?.[1] ?? 0);
  failed += Number(/(\d+) failed/.exec(line)?.[1] ?? 0);
  skipped += Number(/(\d+) (?:skipped|todo)/.exec(line)?.[1] ?? 0);
}
// A skipped test is a failure, and so is a step that failed without a failing test.
failed += skipped + (Number(steps) > 0 && failed === 0 ? Number(steps) : 0);
if (passed === 0) failed += 1;
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
