// What every command is, and the error for a command line that makes no sense.
import { parseArgs, type ParseArgsOptionsConfig } from "node:util";

export interface Command {
  /** One line for the overview. */
  readonly summary: string;
  /** The whole of `--help`. */
  readonly usage: string;
  /** Resolves to the exit code. `signal` aborts on SIGINT and SIGTERM. */
  readonly run: (args: readonly string[], signal: AbortSignal) => Promise<number>;
}

/** A command line that makes no sense: one line, exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A UsageError of a command: what is wrong, and where it says how it is used. */
export const wrongUse = (command: string, what: string) => new UsageError(`${what}; see: handlers ${command} --help`);

/** Options and positionals; a wrong one is a UsageError that names it. */
export function parse<T extends ParseArgsOptionsConfig>(args: readonly string[], options: T, usage: string) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    // Node says more than one sentence; the first names the option.
    const [sentence = ""] = text.replaceAll("'", "").split(/\.\s|\n/);
    throw wrongUse(/^handlers ([\w-]+)/.exec(usage)?.[1] ?? "", sentence.charAt(0).toLowerCase() + sentence.slice(1));
  }
}

/** An option that counts, without an upper end; without it there is no end. A UsageError names it when it is no whole number from 1. */
export function countOption(name: string, text: string | undefined): number {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new UsageError(`--${name} must be a whole number from 1`);
  return value;
}

/** A number option; a UsageError names it when it is none or out of range. */
export function numberOption(
  name: string,
  text: string | undefined,
  fallback: number,
  min: number,
  max: number,
): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isFinite(value) || value < min || value > max) {
    throw new UsageError(`--${name} must be a number from ${min} to ${max}`);
  }
  return value;
}
