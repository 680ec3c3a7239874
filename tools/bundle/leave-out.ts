// A bundler plugin that leaves packages out which a library imports for what it could be told to do and never is.
//
// I1  A package is left out only for the named importer; whoever else imports it gets the real one.
// I2  What is used after all fails at once and says why: constructors and functions of a left-out package throw. A test runs the bundle.
import { createRequire } from "node:module";
import { dirname } from "node:path";
import type { Plugin } from "rolldown";

export interface LeaveOutOptions {
  /** Package whose imports are looked at. */
  readonly importer: string;
  readonly packages: readonly RegExp[];
  /** Functions that the importer calls in any case and that may do nothing. */
  readonly harmless: readonly string[];
}

const prefix = "\0left-out:";

export function leaveOut({ importer, packages, harmless }: LeaveOutOptions): Plugin {
  return {
    name: "leave-out",
    resolveId(id, from) {
      if (from === undefined || !packages.some((pattern) => pattern.test(id))) return null;
      if (!dirname(from).replaceAll("\\", "/").includes(`/node_modules/${importer}/`)) return null; // I1
      return `${prefix}${id}`;
    },
    load(id) {
      if (!id.startsWith(prefix)) return null;
      const name = id.slice(prefix.length);
      // The names come from the package itself, so that a new version of the importer cannot ask for one that is missing.
      const exported = Object.keys(createRequire(import.meta.url)(name) as object);
      const lines = exported
        .filter((each) => each !== "default")
        .map((each) =>
          harmless.includes(each)
            ? `export function ${each}() {}`
            : `export function ${each}() { throw new Error(${JSON.stringify(`left out of the bundle: ${each} of ${name}`)}); }`,
        );
      return { code: lines.join("\n"), moduleSideEffects: false };
    },
  };
}
