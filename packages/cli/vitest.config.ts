// Tests run the command line in processes of its own against real servers: slow machines need time.
import { defineConfig } from "vitest/config";

export default defineConfig({ test: { testTimeout: 180_000, hookTimeout: 120_000 } });
