// Whether a service was provisioned at all: streams and buckets may be another service's too, consumers are its own.
import type { Entry } from "@pipeline/handler-base/operations";

/** `entries`: those of a check of this one service. What is in its way counts as there: it has to be told. */
export function isProvisioned(entries: readonly Entry[]): boolean {
  return entries.some(
    ({ kind, action, details }) =>
      action === "conflict" || (kind === "consumer" && !(action === "drift" && details.includes("is missing"))),
  );
}
