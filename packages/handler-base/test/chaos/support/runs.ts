// Counts the runs of handlers: a small HTTP server that the victims tell before each run.
import { once } from "node:events";
import { createServer } from "node:http";

export interface Run {
  readonly id: string;
  readonly pid: number;
  readonly attempt: number;
  /** `performance.now()` of its begin. */
  readonly at: number;
}

export interface Runs extends AsyncDisposable {
  readonly url: string;
  readonly all: readonly Run[];
  readonly of: (id: string) => readonly Run[];
}

export async function startRuns(): Promise<Runs> {
  const all: Run[] = [];
  const byId = new Map<string, Run[]>();
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? "", "http://runs");
    const id = searchParams.get("id") ?? "";
    const one = {
      id,
      pid: Number(searchParams.get("pid")),
      attempt: Number(searchParams.get("attempt")),
      at: performance.now(),
    };
    all.push(one);
    byId.set(id, [...(byId.get(id) ?? []), one]);
    response.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the counter has no port");
  return {
    url: `http://127.0.0.1:${address.port}/`,
    all,
    of: (id) => byId.get(id) ?? [],
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
