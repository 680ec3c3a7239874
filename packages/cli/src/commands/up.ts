// `handlers up`: the local stack without a conversation.
import { startStack } from "../local/stack.ts";
import { parse, type Command } from "../usage.ts";

const usage = `handlers up: the local stack

Usage: handlers up [SERVICE…] [--json] [--llm FILE]

Starts nats-server, the embedded inference and the named services (default: all) and prints their URLs. Ctrl-C stops everything.

  --json      one JSON document with the URLs on stdout
  --llm FILE  let this GGUF model write answers`;

const known = ["chat-handler"];

export const up: Command = {
  summary: "the local stack without a conversation",
  usage,
  async run(args, signal) {
    const { values, positionals } = parse(args, { json: { type: "boolean" }, llm: { type: "string" } }, usage);
    const unknown = positionals.find((name) => !known.includes(name));
    if (unknown !== undefined) throw new Error(`unknown service ${unknown}; there is ${known.join(", ")}`);
    await using stack = await startStack({
      services: positionals.length > 0 ? positionals : known,
      signal,
      progress: (line) => process.stderr.write(`${line}\n`),
      onLog: (part, line) => process.stderr.write(`${part}: ${line}\n`),
      ...(values.llm !== undefined && { llm: values.llm }),
    });
    const { nats, websocket, inference, health } = stack.urls;
    if (values.json) process.stdout.write(`${JSON.stringify(stack.urls)}\n`);
    else {
      const rows = [["nats", nats], ["websocket", websocket], ["inference", inference], ...Object.entries(health)];
      for (const [name = "", url = ""] of rows) process.stdout.write(`${name.padEnd(14)} ${url}\n`);
    }
    const stopped = new Promise<undefined>((resolve) => {
      signal.addEventListener("abort", () => resolve(undefined), { once: true });
    });
    const broken = await Promise.race([stack.broken, stopped]);
    if (broken !== undefined) throw new Error(`${broken} ended by itself`);
    return 0;
  },
};
