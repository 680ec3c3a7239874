// Run after `npm install --package-lock-only` in this folder: takes the GPU builds (over 500 MB) out of the lockfile, so that `npm ci` gets the CPU build alone.
import { readFileSync, writeFileSync } from "node:fs";

const file = new URL("package-lock.json", import.meta.url);
const lock = JSON.parse(readFileSync(file, "utf8"));
const gpu = /@node-llama-cpp\/.*-(?:cuda|cuda-ext|vulkan)$/;
for (const [path, entry] of Object.entries(lock.packages)) {
  if (gpu.test(path)) delete lock.packages[path];
  for (const name of Object.keys(entry.optionalDependencies ?? {})) {
    if (gpu.test(name)) delete entry.optionalDependencies[name];
  }
}
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
