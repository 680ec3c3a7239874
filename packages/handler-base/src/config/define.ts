// A service's configuration: its own variables and those that every service has, read once, with all problems in one error.
//
// I1  Reading either gives a frozen object with every value in its range, or throws one ConfigError that names every problem.
// I2  A variable that is set to nothing counts as not set.
import { closeSync, openSync, readSync } from "node:fs";
import { cleanEnv, EnvMissingError } from "envalid";
import { baseVariables, checkBase, type BaseConfig } from "./base.ts";
import type { Variable, VariableRow } from "./env.ts";

type Variables = Readonly<Record<string, Variable<unknown>>>;

/** Values of variables, by the names that they have in code. */
export type Values<V extends Variables> = {
  readonly [K in keyof V]: V[K] extends Variable<infer T> ? T : never;
};

export interface ConfigOptions<V extends Variables> {
  /** Problems that only several values together have, one sentence each, naming the variables and what to do. */
  readonly check?: (values: Values<V> & BaseConfig) => readonly string[];
}

export interface Config<T> {
  /** Reads the values. Throws a ConfigError. Reads files named by `…_FILE` variables synchronously: it is called once, at start. */
  read(source?: Readonly<Record<string, string | undefined>>): Readonly<T>;
  /** Rows of the README's table, own variables first. */
  describe(): readonly VariableRow[];
}

/** Everything that is wrong with the environment, one line each. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`the configuration has ${problems.length === 1 ? "a problem" : `${problems.length} problems`}:
${problems.map((problem) => `  - ${problem}`).join("\n")}`);
    this.name = "ConfigError";
    this.problems = problems;
  }
}

/** A configuration with these variables and the base ones. Throws an Error where two variables share a name. */
export function defineConfig<const V extends Variables>(
  variables: V & { readonly [K in keyof typeof baseVariables]?: never },
  options: ConfigOptions<V> = {},
): Config<Values<V> & BaseConfig> {
  const all: Variables = { ...variables, ...baseVariables };
  refuseSharedNames(all);
  return {
    read(source = process.env) {
      const { values, problems } = readAll(all, source);
      const complete = values as Values<V> & BaseConfig;
      if (problems.length === 0) problems.push(...checkBase(complete), ...(options.check?.(complete) ?? []));
      if (problems.length > 0) throw new ConfigError(problems);
      return Object.freeze(complete);
    },
    describe: () => Object.values(all).map(({ row }) => row),
  };
}

function readAll(all: Variables, source: Readonly<Record<string, string | undefined>>) {
  const problems: string[] = [];
  const given: Record<string, string> = {};
  const origins = new Map<string, string>();
  const unreadable = new Set<string>();
  for (const variable of Object.values(all)) {
    try {
      const found = find(variable, source);
      if (found === undefined) continue;
      given[variable.name] = found.text;
      origins.set(variable.name, found.origin);
    } catch (reason) {
      unreadable.add(variable.name);
      problems.push(reason instanceof Error ? reason.message : String(reason));
    }
  }
  const specs = Object.fromEntries(Object.values(all).map(({ name, spec }) => [name, spec]));
  const cleaned: Readonly<Record<string, unknown>> = cleanEnv(given, specs, {
    reporter: ({ errors }) => {
      for (const [name, error] of Object.entries(errors)) {
        if (unreadable.has(name) || error === undefined) continue;
        problems.push(
          error instanceof EnvMissingError
            ? missing(all, name, error.message)
            : `${origins.get(name) ?? name}: ${error.message}`,
        );
      }
    },
  });
  // envalid answers names of variables that it refused with an exception: then there is nothing to take out.
  const entries = problems.length > 0 ? [] : Object.entries(all);
  const values = Object.fromEntries(entries.map(([key, { name }]) => [key, cleaned[name]]));
  return { values, problems };
}

function missing(all: Variables, name: string, doc: string): string {
  const variable = Object.values(all).find((candidate) => candidate.name === name);
  const ways = [name, ...(variable?.secret ? [`${name}_FILE`] : []), ...(variable?.aliases ?? [])];
  return `${name} is required: ${doc.replace(/\.$/, "")}. Set ${ways.join(" or ")}`;
}

interface Found {
  readonly text: string;
  /** Variable that it came from. */
  readonly origin: string;
}

function find(variable: Variable<unknown>, source: Readonly<Record<string, string | undefined>>): Found | undefined {
  for (const name of [variable.name, ...variable.aliases]) {
    const given = source[name];
    const text = given?.trim() === "" ? undefined : variable.secret ? given : given?.trim();
    const file = variable.secret ? source[`${name}_FILE`]?.trim() : undefined;
    if (text && file) throw new Error(`${name} and ${name}_FILE are both set; keep one of them`);
    if (text) return { text, origin: name };
    if (file) return { text: readSecret(file, `${name}_FILE`), origin: `${name}_FILE` };
  }
  return undefined;
}

const largestSecretBytes = 64 * 1024;

function readSecret(path: string, variable: string): string {
  let size: number;
  const buffer = Buffer.alloc(largestSecretBytes + 1);
  try {
    const file = openSync(path, "r");
    try {
      size = readSync(file, buffer);
    } finally {
      closeSync(file);
    }
  } catch (reason) {
    const code = reason instanceof Error && "code" in reason ? String(reason.code) : "unknown error";
    throw new Error(`${variable}: the file ${path} cannot be read (${code})`, { cause: reason });
  }
  if (size > largestSecretBytes) throw new Error(`${variable}: the file ${path} is larger than 64 KiB`);
  const text = buffer.toString("utf8", 0, size).replace(/\r?\n$/, "");
  if (text === "") throw new Error(`${variable}: the file ${path} is empty`);
  return text;
}

function refuseSharedNames(all: Variables): void {
  const seen = new Set<string>();
  for (const { name, aliases } of Object.values(all)) {
    for (const each of [name, ...aliases]) {
      if (seen.has(each)) throw new Error(`two variables of the configuration read ${each}`);
      seen.add(each);
    }
  }
}
