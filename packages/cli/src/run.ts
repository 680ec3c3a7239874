// The command line: finds the command, runs it, and turns what it throws into one line and an exit code.
//
// I1  Whatever ends a command, also a reader that leaves, ends it in order: the signal aborts, and the command puts away what it began.
// I2  When the command has ended the process ends, whatever a library still holds open.
import { HandlerError } from "@pipeline/handler-base";
import { commands } from "./commands/index.ts";
import { UsageError } from "./usage.ts";

const stop = new AbortController();

/** A terminal and a parent process may both pass on one Ctrl-C: what comes within this time is the same request. */
const sameRequestMs = 1000;
let askedAt: number | undefined;

/** Why nobody reads any more, if so. */
let brokenOutput: NodeJS.ErrnoException | undefined;

for (const stream of [process.stdout, process.stderr]) {
  // A reader that has left (`handlers tail | head`) is no fault; without this the process would end with a stack trace.
  stream.on("error", (error: NodeJS.ErrnoException) => {
    brokenOutput ??= error;
    stop.abort(new DOMException("nobody reads the output", "AbortError")); // I1
  });
}

function onSignal(name: string): void {
  const now = performance.now();
  if (askedAt !== undefined && now - askedAt >= sameRequestMs) process.exit(130); // asked twice: no more patience
  askedAt ??= now;
  stop.abort(new DOMException(`${name} received`, "AbortError"));
}

async function main(argv: readonly string[]): Promise<number> {
  const [name = "help", ...rest] = argv;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => onSignal(signal));
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
  if (error instanceof HandlerError) {
    const more = error.violations.filter((each) => !error.message.includes(each));
    return `${error.code}: ${[error.message, ...more].join("; ")}`;
  }
  return error instanceof Error ? error.message : String(error);
}

/** The exit code of a command that threw, and its line on standard error. */
function failed(error: unknown): number {
  const { signal } = stop;
  if (signal.aborted && (error === signal.reason || (error instanceof HandlerError && error.code === "canceled"))) {
    return 130; // as it was asked
  }
  if (brokenOutput === undefined) process.stderr.write(`handlers: ${describe(error)}\n`);
  return error instanceof UsageError ? 2 : 1;
}

/** Resolves when what was written is out, or cannot be. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write("", () => resolve());
  });
}

const code = await main(process.argv.slice(2)).catch(failed);
await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
process.exit(brokenOutput === undefined ? code : brokenOutput.code === "EPIPE" ? 0 : 1); // I2
