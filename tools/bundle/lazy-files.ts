// A bundler plugin that has node:fs/promises loaded at its first use: it takes 1 ms of a start, and few services touch a file before the
// first call.
import * as files from "node:fs/promises";
import type { Plugin } from "rolldown";

const id = "\0lazy-files";

const functions = Object.entries(files).flatMap(([name, value]) => (typeof value === "function" ? [name] : []));

const source = `
const files = () => process.getBuiltinModule("node:fs/promises");
${functions.map((name) => `exports.${name} = (...given) => files().${name}(...given);`).join("\n")}
Object.defineProperty(exports, "constants", { enumerable: true, get: () => files().constants });
`;

export function lazyFiles(): Plugin {
  return {
    name: "lazy-files",
    resolveId: (wanted) => (wanted === "node:fs/promises" ? id : null),
    load: (wanted) => (wanted === id ? source : null),
  };
}
