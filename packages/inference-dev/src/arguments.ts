// The command line.
import { parseArgs } from "node:util";

export interface Arguments {
  readonly port: number;
  readonly host: string;
  readonly llm: string | undefined;
  readonly help: boolean;
}

export const usage = `Usage: inference-dev [--port N] [--host NAME] [--llm FILE]

OpenAI-compatible chat, embeddings and reranking on this machine's CPU.

  --port N     port to listen on, 0 for a free one (default 0)
  --host NAME  address to listen on (default 127.0.0.1)
  --llm FILE   GGUF model that writes the answers (default: sentences of the sources)
  --help       this text

When it is ready it prints one line of JSON: {"url": …, "engines": {…}}. SIGTERM ends it.
`;

/** Throws an Error of one line. */
export function readArguments(args: readonly string[]): Arguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      port: { type: "string", default: "0" },
      host: { type: "string", default: "127.0.0.1" },
      llm: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const port = Number(values.port);
  if (!/^\d{1,5}$/.test(values.port) || port > 65_535)
    throw new Error(`--port must be a number from 0 to 65535, not ${JSON.stringify(values.port)}`);
  return { port, host: values.host, llm: values.llm, help: values.help };
}
