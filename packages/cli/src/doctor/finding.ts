// One thing that the doctor looked at.

export interface Finding {
  readonly level: "ok" | "warning" | "error";
  /** What was looked at and how it is, one line. */
  readonly what: string;
  /** What to do about it. */
  readonly fix?: string;
}

export const ok = (what: string): Finding => ({ level: "ok", what });
export const warning = (what: string, fix: string): Finding => ({ level: "warning", what, fix });
export const error = (what: string, fix: string): Finding => ({ level: "error", what, fix });

/** One line for people. */
export function findingLine({ level, what, fix }: Finding): string {
  const mark = { ok: "ok     ", warning: "warning", error: "error  " }[level];
  return `${mark}  ${what}${fix === undefined ? "" : `; ${fix}`}`;
}
