import { defineConfig } from "vitest/config";

// Each test starts programs of other languages: a busy machine may take its time.
export default defineConfig({ test: { testTimeout: 60_000 } });
