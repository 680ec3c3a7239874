// Configuration from the environment: what a service author declares it with and what every service has.
export { baseVariables, type BaseConfig } from "./config/base.ts";
export { ConfigError, defineConfig, type Config, type ConfigOptions, type Values } from "./config/define.ts";
export { rowsIn, tableRows } from "./config/table.ts";
export { env, type Variable, type VariableOptions, type VariableRow } from "./config/env.ts";
