// The program: one JSON line on standard output when it is ready, everything else on standard error.
import { readArguments, usage } from "./arguments.ts";
import { startInference } from "./start.ts";

async function main(): Promise<void> {
  const { port, host, llm, help } = readArguments(process.argv.slice(2));
  if (help) {
    process.stdout.write(usage);
    return;
  }
  const stop = new AbortController();
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      // not once: libraries that find themselves alone with a signal end the process
      process.on(signal, () => {
        stop.abort(new Error(`${signal} before it was ready`));
        resolve();
      });
    }
  });
  await using inference = await startInference({
    port,
    host,
    signal: stop.signal,
    ...(llm !== undefined && { llm }),
  });
  process.stdout.write(`${JSON.stringify({ url: inference.url, engines: inference.engines })}\n`);
  await stopped;
}

main().catch((error: unknown) => {
  process.stderr.write(`inference-dev: ${oneLine(error)}\n`);
  process.exitCode = 1;
});

function oneLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replaceAll(/\s*\n\s*/g, " ");
}
