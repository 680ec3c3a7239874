// What provisioning found and did, in lines that a person or a script reads.

export type Mode = "apply" | "check" | "bind";
export type Action = "ok" | "created" | "updated" | "adopted" | "drift" | "conflict";
export type Kind = "account" | "subject" | "stream" | "bucket" | "objects" | "consumer";

export interface Entry {
  readonly kind: Kind;
  /** Name on the server; of a consumer `stream/consumer`. */
  readonly name: string;
  /**
   * `ok`: as the contract says. `created`, `updated`: now it is. `adopted`: someone else's stream is used as it is. `drift`: it differs
   * (or would be made, where nothing may be changed), the details say how. `conflict`: the service cannot work with it.
   */
  readonly action: Action;
  readonly details: readonly string[];
}

export interface Report {
  readonly entries: readonly Entry[];
  /** Where streams of the contract are if not under their own name. */
  readonly adopted: ReadonlyMap<string, string>;
  /** False if there is a conflict; nothing was changed then. */
  readonly ok: boolean;
}

/** A report as text, one line an entry and detail, without those that are as they should be. */
export function reportLines(report: Report): string[] {
  return report.entries.flatMap(({ kind, name, action, details }) => {
    if (action === "ok" && details.length === 0) return [];
    if (details.length === 0) return [`${action}: ${kind} ${name}`];
    return details.map((detail) => `${action}: ${kind} ${name}: ${detail}`);
  });
}

/** The report, if it has no conflict; else throws an Error with all of them. */
export function requireProvisioned(report: Report): Report {
  if (report.ok) return report;
  const conflicts = report.entries.filter(({ action }) => action === "conflict");
  throw new Error(
    `NATS is not as the contract needs it:\n${reportLines({ ...report, entries: conflicts }).join("\n")}`,
  );
}
