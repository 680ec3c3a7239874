// Who made a stream or consumer, and from which contract: two entries in its metadata. They tell our own streams from adopted ones and
// keep an older program from undoing what a newer one has set up.
import { createHash } from "node:crypto";
import type { ServiceContract } from "../contract.ts";

export const stampKeys = { version: "handler-contract-version", digest: "handler-contract-digest" } as const;

/** Version of the private streams' own layout. Raise it with every change of what provisioning makes out of the same contract. */
const layoutVersion = 1;

export interface Stamp {
  /** `layout.contract`, both whole numbers. */
  readonly version: string;
  readonly digest: string;
}

/** Stamp of what belongs to these services. */
export function stampOf(contracts: readonly ServiceContract[]): Stamp {
  const version = Math.max(0, ...contracts.map((contract) => contract.version));
  return { version: `${layoutVersion}.${version}`, digest: digestOf(contracts) };
}

/** Stamp of what all services of an installation share. */
export function sharedStamp(): Stamp {
  return { version: `${layoutVersion}.0`, digest: digestOf(layoutVersion) };
}

export function metadataOf(stamp: Stamp): Record<string, string> {
  return { [stampKeys.version]: stamp.version, [stampKeys.digest]: stamp.digest };
}

/** The stamp in a stream's or consumer's metadata, or undefined where provisioning never was. */
export function readStamp(metadata: Readonly<Record<string, string>> | undefined): Stamp | undefined {
  const version = metadata?.[stampKeys.version];
  return version === undefined ? undefined : { version, digest: metadata?.[stampKeys.digest] ?? "" };
}

/** Whether going from what is there to what is wanted would go back in either part of the version. */
export function goesBack(there: Stamp, wanted: Stamp): boolean {
  const [thereLayout = 0, thereContract = 0] = there.version.split(".").map(Number);
  const [layout = 0, contract = 0] = wanted.version.split(".").map(Number);
  return layout < thereLayout || contract < thereContract;
}

function digestOf(value: unknown): string {
  const text = JSON.stringify(value, (key, inner: unknown) =>
    key === "desc" || inner instanceof Map ? undefined : inner,
  );
  return `sha256:${createHash("sha256").update(text).digest("hex").slice(0, 32)}`;
}
