// Provisioning: what an installation needs on the server, derived from the contracts.
export { desiredState, type DesiredState } from "./desired.ts";
export type { Environment, MethodOverride, StreamOverride } from "./environment.ts";
export { provision, type ProvisionOptions } from "./provisioning.ts";
export { type Action, type Entry, type Mode, type Report, reportLines, requireProvisioned } from "./report.ts";
export { requireServer } from "./server-version.ts";
export type { BucketContract } from "../contract.ts";
