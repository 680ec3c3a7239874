// Log lines: one JSON object a line on stderr. What a user wrote or said never goes into a message or a field; keys that could hold it
// or a secret are blanked (log-fields.ts).
//
// I1  A line that is not written costs one comparison.
// I2  Logging never throws and never waits.
import { safeFields } from "./log-fields.ts";

export type Level = "debug" | "info" | "warn" | "error";

export interface Logger {
  readonly debug: (fields: Record<string, unknown>, message: string) => void;
  readonly info: (fields: Record<string, unknown>, message: string) => void;
  readonly warn: (fields: Record<string, unknown>, message: string) => void;
  readonly error: (fields: Record<string, unknown>, message: string) => void;
  /** A logger whose every line has these fields as well. */
  readonly child: (fields: Record<string, unknown>) => Logger;
}

/** One line before it is written. Its fields are safe: plain JSON values, bounded, without secrets and user text. */
export interface LogRecord {
  /** Unix ms. */
  readonly time: number;
  readonly level: Level;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Takes lines. Must not throw. */
export type LogSink = (record: LogRecord) => void;

export interface LoggerOptions {
  /** Default `info`. */
  readonly level?: Level;
  /** In every line. */
  readonly fields?: Record<string, unknown>;
  /** Default: one JSON line each on stderr. */
  readonly sink?: LogSink;
}

const severity: Readonly<Record<Level, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

export function createLogger({ level = "info", fields = {}, sink = stderrSink() }: LoggerOptions = {}): Logger {
  return loggerWith(severity[level], safeFields(fields), sink);
}

function loggerWith(least: number, bound: Readonly<Record<string, unknown>>, sink: LogSink): Logger {
  const writer = (level: Level) =>
    severity[level] < least
      ? () => undefined
      : (fields: Record<string, unknown>, message: string) => {
          sink({ time: Date.now(), level, message, fields: { ...bound, ...safeFields(fields) } });
        };
  return {
    debug: writer("debug"),
    info: writer("info"),
    warn: writer("warn"),
    error: writer("error"),
    child: (fields) => loggerWith(least, { ...bound, ...safeFields(fields) }, sink),
  };
}

/** The line of a record, newline included. Names of the line itself win over fields of the same name. */
export function formatLine({ time, level, message, fields }: LogRecord): string {
  const line = { time: new Date(time).toISOString(), level, msg: message };
  return `${JSON.stringify({ ...line, ...fields, ...line })}\n`;
}

/** Whether stderr of this process is guarded: one listener, however many loggers there are. */
let guarded = false;

/** Writes lines on stderr. */
export function stderrSink(): LogSink {
  return (record) => {
    if (!guarded) {
      guarded = true;
      // A reader of stderr that went away (EPIPE) must not end the service: nobody is left to be told.
      process.stderr.on("error", () => undefined);
    }
    process.stderr.write(formatLine(record));
  };
}
