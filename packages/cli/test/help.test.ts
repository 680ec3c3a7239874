import { expect, test } from "vitest";
import { commands } from "../src/commands/index.ts";
import { handlers } from "./support/handlers.ts";

test("the overview names every command, and each says how it is used", async () => {
  const overview = await handlers([]);
  expect(overview).toMatchObject({ code: 0, stderr: "" });
  for (const [name, { usage }] of commands) {
    expect(overview.stdout).toMatch(new RegExp(`^  ${name} +\\S`, "m"));
    expect(usage).toMatch(new RegExp(`^handlers ${name}: .+\\n\\nUsage: handlers ${name}\\b`));
    expect(Math.max(...usage.split("\n").map((line) => line.length))).toBeLessThanOrEqual(140);
  }
  expect(await handlers(["--help"])).toEqual(overview);
  expect((await handlers(["help", "call"])).stdout).toBe((await handlers(["call", "--help"])).stdout);
});

test("an unknown command is one line and exit code 2", async () => {
  expect(await handlers(["cal"])).toEqual({
    code: 2,
    stdout: "",
    stderr: "handlers: unknown command cal; see: handlers --help\n",
  });
});

test("a reader that leaves ends a command without a word", async () => {
  const { spawn } = await import("node:child_process");
  const { once } = await import("node:events");
  const { fileURLToPath } = await import("node:url");
  const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
  const child = spawn(process.execPath, [main, "permissions"], { env: {}, stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.destroy();
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  await once(child, "close");
  expect(said).toBe("");
});
