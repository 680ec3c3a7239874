// Variables as rows of a markdown table: what READMEs show, and what their tests compare them with.
import type { VariableRow } from "./env.ts";

/** One row each: names, value, default, what it is for. */
export function tableRows(variables: readonly VariableRow[]): string[] {
  return variables.map(({ name, aliases, type, default: value, required, doc }) => {
    const names = [name, ...aliases].map((each) => `\`${each}\``).join(", ");
    const given = value === undefined ? (required ? "required" : "") : value === "" ? "empty" : `\`${value}\``;
    return oneSpace(`| ${names} | ${type} | ${given} | ${doc} |`);
  });
}

/** The rows of such tables in a document, however its columns are padded. */
export function rowsIn(markdown: string): string[] {
  return markdown
    .split("\n")
    .filter((line) => /^\| `[A-Z][A-Z0-9_]*`/.test(line))
    .map(oneSpace);
}

const oneSpace = (line: string) => line.replaceAll(/ {2,}/g, " ");
