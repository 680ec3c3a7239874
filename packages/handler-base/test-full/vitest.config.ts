import { defineConfig } from "vitest/config";

// One server at a time: each takes most of a small machine.
export default defineConfig({
  test: {
    include: ["test-full/**/*.full.ts"],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 10 * 60_000, // the first run installs
  },
});
