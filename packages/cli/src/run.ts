// The command line: finds the command, runs it, and turns what it throws into one line and an exit code.
import { HandlerError } from "@pipeline/handler-base";
import { commands } from "./commands/index.ts";
import { UsageError } from "./usage.ts";

// A reader that has left (`handlers tail | head`) ends the command; without this it would end with a stack trace.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? 0 : 1);
});

const stop = new AbortController();

async function main(argv: readonly string[]): Promise<number> {
  const [name = "help", ...rest] = argv;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(130); // asked twice: no more patience
      stop.abort(new DOMException(`${signal} received`, "AbortError"));
    });
  }
  const asked = name === "help" ? commands.get(rest[0] ?? "") : undefined;
  if (name === "help" || name === "--help" || name === "-h") {
    process.stdout.write(asked === undefined ? overview() : `${asked.usage}\n`);
    return 0;
  }
  const command = commands.get(name);
  if (command === undefined) throw new UsageError(`unknown command ${name}; see: handlers --help`);
  if (rest.includes("--help") || rest.includes("-h")) {
    process.stdout.write(`${command.usage}\n`);
    return 0;
  }
  return command.run(rest, stop.signal);
}

function overview(): string {
  const width = Math.max(...[...commands.keys()].map((name) => name.length));
  const lines = [...commands].map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`);
  return `handlers: the glue between NATS and AI model servers\n\nUsage: handlers COMMAND [OPTIONS]\n\n${lines.join("\n")}\n\nhandlers COMMAND --help says more.\n`;
}

function describe(error: unknown): string {
  if (error instanceof HandlerError) return `${error.code}: ${[error.message, ...error.violations].join("; ")}`;
  return error instanceof Error ? error.message : String(error);
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const { signal } = stop;
    if (signal.aborted && (error === signal.reason || (error instanceof HandlerError && error.code === "canceled"))) {
      process.exitCode = 130; // as it was asked
      return;
    }
    process.stderr.write(`handlers: ${describe(error)}\n`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  },
);
