// `handlers up`: the local stack without a conversation.
import { natsHint } from "../local/nats-server.ts";
import { chosenServices } from "../local/services.ts";
import { startStack } from "../local/stack.ts";
import { untilStopped } from "../local/until-stopped.ts";
import { parse, type Command } from "../usage.ts";

const usage = `handlers up: the local stack

Usage: handlers up [SERVICE…] [--json] [--llm FILE]

Starts nats-server, the embedded inference and the named services (default: all) and prints their URLs. Ctrl-C stops everything.
Parts that NATS_URL, LLM_URL, EMBEDDINGS_URL or RERANKER_URL point elsewhere are not started.

  --json      one JSON document with the URLs on stdout
  --llm FILE  let this GGUF model write answers`;

export const up: Command = {
  summary: "the local stack without a conversation",
  usage,
  async run(args, signal) {
    const { values, positionals } = parse(args, { json: { type: "boolean" }, llm: { type: "string" } }, usage);
    await using stack = await startStack({
      services: chosenServices(positionals),
      signal,
      progress: (line) => process.stderr.write(`${line}\n`),
      onLog: (part, line) => process.stderr.write(`${part}: ${line}\n`),
      ...(values.llm !== undefined && { llm: values.llm }),
    });
    const { health, ...urls } = stack.urls;
    if (values.json) process.stdout.write(`${JSON.stringify(stack.urls)}\n`);
    else {
      for (const [name, url] of Object.entries({ ...urls, ...health })) {
        if (url !== "") process.stdout.write(`${name.padEnd(14)} ${url}\n`);
      }
    }
    const hint = natsHint(stack.urls.nats);
    if (hint !== undefined) process.stderr.write(`${hint}\n`);
    await untilStopped(stack.broken, signal);
    return 0;
  },
};
