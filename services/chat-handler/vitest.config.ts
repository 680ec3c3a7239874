// Tests run against a real nats-server, which is fetched on first use, and real HTTP: slow machines need time.
import { defineConfig } from "vitest/config";

export default defineConfig({ test: { testTimeout: 60_000, hookTimeout: 120_000 } });
