// Log lines: one JSON object a line on stderr. What a user wrote or said never goes into a message or a field; keys that could hold it
// or a secret are blanked.

export type Level = "debug" | "info" | "warn" | "error";

export interface Logger {
  readonly debug: (fields: Record<string, unknown>, message: string) => void;
  readonly info: (fields: Record<string, unknown>, message: string) => void;
  readonly warn: (fields: Record<string, unknown>, message: string) => void;
  readonly error: (fields: Record<string, unknown>, message: string) => void;
  /** A logger whose every line has these fields as well. */
  readonly child: (fields: Record<string, unknown>) => Logger;
}
