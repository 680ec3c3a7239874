// `handlers dev`: the local stack with one service that is started anew when its source changes.
//
// I1  The old process is drained before the new one starts: what it had begun it ends, the rest waits in its streams.
// I2  A service that cannot start is no reason to end: what it said is shown, and the next change tries again.
import { join } from "node:path";
import type { Child } from "../local/child.ts";
import { freePort } from "../local/ports.ts";
import { natsHint } from "../local/nats-server.ts";
import { chosenServices, localServices, repository } from "../local/services.ts";
import { startStack, type Stack } from "../local/stack.ts";
import { untilStopped } from "../local/until-stopped.ts";
import { watchSources } from "../local/watch.ts";
import { parse, wrongUse, type Command } from "../usage.ts";

const usage = `handlers dev: work on a service

Usage: handlers dev SERVICE [--llm FILE]

Starts nats-server, the embedded inference and the service, and starts the service anew (SIGTERM, drain, start) when a source file of it
or of the packages that it is built on changes. Ctrl-C stops everything.

  --llm FILE  let this GGUF model write answers`;

export const dev: Command = {
  summary: "the local stack, with a service that is started anew when its source changes",
  usage,
  async run(args, signal) {
    const { values, positionals } = parse(args, { llm: { type: "string" } }, usage);
    const [name, extra] = positionals;
    if (name === undefined) throw wrongUse("dev", `name the service to work on: ${localServices().join(", ")}`);
    if (extra !== undefined) throw wrongUse("dev", `unexpected argument ${extra}`);
    chosenServices([name]);
    await using stack = await startStack({
      services: [],
      signal,
      progress: say,
      onLog: (part, line) => say(`${part}: ${line}`),
      ...(values.llm !== undefined && { llm: values.llm }),
    });
    const port = await freePort(0);
    say(`NATS ${stack.urls.nats}  ${name} http://127.0.0.1:${port}/readyz`);
    const hint = natsHint(stack.urls.nats);
    if (hint !== undefined) say(hint);
    await Promise.race([untilStopped(stack.broken, signal), serveAndWatch(name, port, stack, signal)]);
    return 0;
  },
};

const say = (line: string) => void process.stderr.write(`${line}\n`);

async function serveAndWatch(name: string, port: number, stack: Stack, signal: AbortSignal): Promise<void> {
  const folders = [
    join(repository, "services", name, "src"),
    ...["handler-base", "messages"].map((each) => join(repository, "packages", each, "src")),
  ];
  const changes = watchSources(folders, signal);
  let child: Child | undefined;
  try {
    for (;;) {
      child = await start(name, port, stack, signal);
      const changed = await changes.next();
      say(`${changed} has changed`);
      await child?.stop(); // I1
    }
  } catch (reason) {
    if (!signal.aborted) throw reason;
  }
}

async function start(name: string, port: number, stack: Stack, signal: AbortSignal): Promise<Child | undefined> {
  try {
    const child = await stack.startService(name, port);
    say(`${name} is ready`);
    void child.ended.then((how) => {
      if (!signal.aborted && !/exit code 0/.test(how)) say(`${how}; it starts again with the next change`);
    });
    return child;
  } catch (reason) {
    signal.throwIfAborted();
    say(`${reason instanceof Error ? reason.message : String(reason)}; it starts again with the next change`); // I2
    return undefined;
  }
}
