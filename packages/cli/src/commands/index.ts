// All commands, in the order of the overview.
import type { Command } from "../usage.ts";
import { start } from "./start.ts";
import { up } from "./up.ts";

export const commands: ReadonlyMap<string, Command> = new Map([
  ["start", start],
  ["up", up],
]);
