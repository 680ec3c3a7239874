// The real HTTP server over engines that a test scripts: what stands behind the server's own interface.
import { startServer, type RunningServer } from "../../src/http/server.ts";
import type { ChatEngine, Engines } from "../../src/engines.ts";

export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly log: readonly string[];
}

export async function serveEngines(engines: Engines, queue = 64): Promise<TestServer> {
  const log: string[] = [];
  const server: RunningServer = await startServer({
    engines,
    host: "127.0.0.1",
    port: 0,
    queue,
    log: (line) => log.push(line),
  });
  return { url: server.url, log, [Symbol.asyncDispose]: () => server.close(0) };
}

/** A chat engine that says these pieces. */
export function saying(...pieces: readonly string[]): ChatEngine {
  return {
    name: "scripted",
    concurrency: 4,
    async *answer(_turns, { signal }) {
      for (const piece of pieces) {
        signal.throwIfAborted();
        yield await Promise.resolve(piece);
      }
    },
  };
}

/** Posts JSON, or the text as it is. */
export async function post(url: string, body: unknown): Promise<Response> {
  return fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

/** Resolves when `check` gives true. */
export async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error("it did not happen within 20 s");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export const question = { messages: [{ role: "user", content: "What is it?" }] };
