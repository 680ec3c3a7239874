// Validators of environment variables: each holds its name, its text for the README's table, and how its text becomes a value.
//
// I1  What goes wrong is said without the value where the value may be a secret (a secret, or a URL that can hold a password).
// I2  A default is written as one would write it in the environment and is parsed by the same function, when the variable is declared.
import { EnvError, makeExactValidator, type ValidatorSpec } from "envalid";

export interface VariableOptions {
  /** One sentence for the README's table: what it is for. */
  readonly doc: string;
  /** Older names; the first one that is set counts, after the name itself. */
  readonly aliases?: readonly string[];
  /** As it would be written in the environment. Without it the variable is required, unless it is optional. */
  readonly default?: string | number | boolean;
  /** The value is undefined where the variable is not set. */
  readonly optional?: true;
}

/** One variable. `T` is the type of its value. */
export interface Variable<T> {
  readonly name: string;
  readonly aliases: readonly string[];
  /** Also read from the file that `<NAME>_FILE` names. */
  readonly secret: boolean;
  readonly row: VariableRow;
  readonly spec: ValidatorSpec<T>;
}

/** A row of the README's table. */
export interface VariableRow {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly type: string;
  /** Text of the default; undefined where there is none. */
  readonly default: string | undefined;
  readonly required: boolean;
  readonly doc: string;
}

/** Type of the value that these options give. */
export type ValueOf<T, O extends VariableOptions> = O extends { optional: true } ? T | undefined : T;

interface Range {
  readonly min?: number;
  readonly max?: number;
}

/** Scheme and port of a value that is only `host` or `host:port`. */
interface BareHost {
  readonly bareHost?: { readonly scheme: string; readonly port?: number };
}

const booleans: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  "1": true,
  false: false,
  no: false,
  off: false,
  "0": false,
};

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export const env = {
  /** An absolute URL, without a slash at its end. */
  url: <const O extends VariableOptions & BareHost>(name: string, options: O) =>
    variable(name, "URL", options, (text) => parseUrl(text, options)),

  /** One or more URLs, parted by commas, in order of preference. */
  urls: <const O extends VariableOptions & BareHost>(name: string, options: O) =>
    variable(name, "URLs, comma-separated", options, (text) =>
      Object.freeze(parts(text).map((part) => parseUrl(part, options))),
    ),

  /** A whole number. */
  int: <const O extends VariableOptions & Range>(name: string, options: O) =>
    variable(name, `integer${rangeText(options, String)}`, options, (text) =>
      inRange(
        /^[+-]?\d{1,15}$/.test(text) ? Number(text) : Number.NaN,
        options,
        () => new EnvError(`${quote(text)} is not a whole number${rangeText(options, String)}`),
      ),
    ),

  /** A number with or without a fraction. */
  number: <const O extends VariableOptions & Range>(name: string, options: O) =>
    variable(name, `number${rangeText(options, String)}`, options, (text) =>
      inRange(Number(text), options, () => new EnvError(`${quote(text)} is not a number${rangeText(options, String)}`)),
    ),

  /** A time span in ms, written as `500ms`, `30s`, `2m`, `1h`, `30d` or a number of ms. `min` and `max` are ms. */
  duration: <const O extends VariableOptions & Range>(name: string, options: O) =>
    variable(name, `duration${rangeText(options, durationText)}`, options, (text) =>
      inRange(
        parseDuration(text),
        options,
        () =>
          new EnvError(
            `${quote(text)} is not a time span${rangeText(options, durationText)}; write 500ms, 30s, 2m, 1h or a number of milliseconds`,
          ),
      ),
    ),

  /** One of a few words. */
  enum: <const C extends readonly string[], const O extends VariableOptions>(name: string, choices: C, options: O) =>
    variable(name, choices.join(", "), options, (text): C[number] => {
      if (choices.includes(text)) return text;
      throw new EnvError(`${quote(text)} is not one of ${choices.join(", ")}`);
    }),

  /** true, yes, on, 1, or false, no, off, 0. */
  bool: <const O extends VariableOptions>(name: string, options: O) =>
    variable(name, "boolean", options, (text) => {
      const value = booleans[text.toLowerCase()];
      if (value === undefined) throw new EnvError(`${quote(text)} is neither true nor false`);
      return value;
    }),

  string: <const O extends VariableOptions>(name: string, options: O) =>
    variable(name, "text", options, (text) => text),

  /** Texts parted by commas. */
  list: <const O extends VariableOptions>(name: string, options: O) =>
    variable(name, "texts, comma-separated", options, (text) => Object.freeze(parts(text))),

  /** A secret: by value, or in the file that `<NAME>_FILE` names (a newline at the file's end does not count). */
  secretFile: <const O extends VariableOptions>(name: string, options: O) =>
    variable(name, "secret, or its file in `" + name + "_FILE`", options, (text) => text, true),
};

function variable<T, O extends VariableOptions>(
  name: string,
  type: string,
  options: O,
  parse: (text: string) => T,
  secret = false,
): Variable<ValueOf<T, O>> {
  const { doc, aliases = [], optional } = options;
  const text = options.default === undefined ? undefined : String(options.default);
  const spec: Record<string, unknown> = { desc: doc };
  if (text !== undefined) spec["default"] = parse(text);
  else if (optional) spec["default"] = undefined;
  return {
    name,
    aliases,
    secret,
    row: { name, aliases, type, default: text, required: text === undefined && !optional, doc },
    // envalid types the presence of `default`; here its presence follows from `O`.
    spec: makeExactValidator<T>(parse)(spec),
  };
}

function parseUrl(text: string, { bareHost }: BareHost): string {
  const bare = bareHost && !text.includes("://");
  const port = bare && bareHost.port !== undefined && !/:\d+$/.test(text) ? `:${bareHost.port}` : "";
  const complete = bare ? `${bareHost.scheme}://${text}${port}` : text;
  // I1: the message holds no part of the value.
  if (!URL.canParse(complete))
    throw new EnvError(`the value is not an absolute URL; write ${bareHost?.scheme ?? "http"}://host:port`);
  return complete.replace(/\/+$/, "");
}

function parseDuration(text: string): number {
  const [, amount, unit] = /^(\d{1,12}(?:\.\d{1,6})?)\s*(ms|s|m|h|d)?$/.exec(text) ?? [];
  return amount === undefined ? Number.NaN : Number(amount) * (units[unit ?? "ms"] ?? 1);
}

function inRange(value: number, { min = -Infinity, max = Infinity }: Range, problem: () => Error): number {
  if (Number.isFinite(value) && value >= min && value <= max) return value;
  throw problem();
}

function rangeText({ min, max }: Range, show: (value: number) => string): string {
  if (min === undefined) return max === undefined ? "" : ` up to ${show(max)}`;
  return max === undefined ? ` from ${show(min)}` : ` from ${show(min)} to ${show(max)}`;
}

function durationText(ms: number): string {
  const unit = ["d", "h", "m", "s"].find((name) => ms !== 0 && ms % (units[name] ?? 1) === 0) ?? "ms";
  return `${ms / (units[unit] ?? 1)}${unit}`;
}

const parts = (text: string): string[] =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");

const quote = (text: string): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
