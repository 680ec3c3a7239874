// Writes docs/wire.md and docs/asyncapi.json: what a publisher needs who has nothing of ours.
//
// A line `{{name}}` of the template is replaced by what is derived; `{{python/chat_event.py}}` by that file of interop/, which is one
// that tests run.
import { execFileSync } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { asyncApi } from "./asyncapi.ts";
import { readProto, type Contract } from "./contract.ts";
import { messageSection } from "./fields.ts";
import { rpcSections } from "./rpcs.ts";
import { codeTable, headerTable, internalHeaders, streamTable } from "./tables.ts";

const languages: Readonly<Record<string, string>> = { ".py": "python", ".go": "go", ".sh": "sh", ".txt": "text" };

/** Writes the documents below `folder`, formatted. Throws an Error where the template asks for what there is not. */
export async function writeWireDocuments(folder: string): Promise<void> {
  const contract = readProto();
  await mkdir(join(folder, "docs"), { recursive: true });
  const wire = join(folder, "docs", "wire.md");
  const api = join(folder, "docs", "asyncapi.json");
  await writeFile(wire, await fillTemplate(contract));
  await writeFile(api, JSON.stringify(asyncApi(contract), undefined, 2));
  execFileSync("oxfmt", ["--config", ".oxfmtrc.json", wire, api], { stdio: ["ignore", "ignore", "inherit"] });
}

async function fillTemplate(contract: Contract): Promise<string> {
  const parts: Readonly<Record<string, () => string>> = {
    rpcs: () => rpcSections(contract),
    messages: () => contract.messages.map(messageSection).join("\n\n"),
    "request headers": () => headerTable("requests"),
    "answer headers": () => headerTable("answers"),
    codes: codeTable,
    streams: () => streamTable(contract),
  };
  const template = await readFile(new URL("template.txt", import.meta.url), "utf8");
  const lines = await Promise.all(
    template.split("\n").map(async (line) => {
      const name = /^\{\{([^}]+)\}\}$/.exec(line)?.[1];
      if (name === undefined) return line.replaceAll("{{internal headers}}", internalHeaders);
      return parts[name]?.() ?? (await example(name));
    }),
  );
  return lines.join("\n");
}

async function example(file: string): Promise<string> {
  const text = await readFile(join("interop", file), "utf8");
  return `\`\`\`${languages[extname(file)] ?? ""}\n${text.trimEnd()}\n\`\`\``;
}
