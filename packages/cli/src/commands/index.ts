// All commands, in the order of the overview.
import type { Command } from "../usage.ts";
import { call } from "./call.ts";
import { dev } from "./dev.ts";
import { dlq } from "./dlq.ts";
import { doctor } from "./doctor.ts";
import { newService } from "./new.ts";
import { permissions } from "./permissions.ts";
import { provision } from "./provision.ts";
import { shadow } from "./shadow.ts";
import { start } from "./start.ts";
import { tail } from "./tail.ts";
import { up } from "./up.ts";

export const commands: ReadonlyMap<string, Command> = new Map([
  ["start", start],
  ["up", up],
  ["dev", dev],
  ["call", call],
  ["tail", tail],
  ["provision", provision],
  ["dlq", dlq],
  ["permissions", permissions],
  ["doctor", doctor],
  ["shadow", shadow],
  ["new", newService],
]);
