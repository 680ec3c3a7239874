// What the telemetry tests share.
import { defineConfig, type BaseConfig } from "../../src/config.ts";

/** The configuration that every service has, from these variables. */
export const baseConfig = (source: Readonly<Record<string, string>> = {}): BaseConfig => defineConfig({}).read(source);
