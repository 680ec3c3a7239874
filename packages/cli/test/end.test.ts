// How a command ends: at once when it is done, in order when it is told to or nobody reads.
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startModelServer } from "@pipeline/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startHandlers } from "./support/handlers.ts";

let folder: string;
let model: Awaited<ReturnType<typeof startModelServer>>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "end-"));
  model = await startModelServer();
});

afterAll(async () => {
  await model[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** Surroundings in which only nats-server and the services are started. */
const env = () => ({ LLM_URL: model.url, EMBEDDINGS_URL: model.url, RERANKER_URL: model.url, TMPDIR: folder });
const leftOver = async () => (await readdir(folder)).filter((name) => name.startsWith("handlers-nats-"));

test.each([["call", "ChatService.Greet"], ["tail"]])(
  "%s ends when it has said that a port is no NATS server",
  async (...args) => {
    const server = createServer((_, response) => response.end("hello"));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    await using running = startHandlers([...args, "--server", `127.0.0.1:${(server.address() as AddressInfo).port}`]);
    let said = "";
    running.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
    while (!said.includes("\n")) await once(running.stderr, "data");
    expect(said).toContain("cannot be reached");
    expect(await Promise.race([running.exited, sleep(8000, "still running", { ref: false })])).toBe(1);
    server.close();
    server.closeAllConnections();
  },
  60_000,
);

describe("with a stack", () => {
  test("a reader that leaves ends it in order", async () => {
    await using running = startHandlers(["up", "chat-handler"], { env: env() });
    await once(running.stderr, "data");
    running.stdout.destroy();
    running.stderr.resume();
    expect(await running.exited).toBe(0);
    expect(await leftOver()).toEqual([]);
  }, 120_000);

  test("a signal that comes twice within a second is one request, and its end is in order", async () => {
    await using running = startHandlers(["up", "chat-handler"], { env: env() });
    running.stderr.resume();
    await once(running.stdout, "data");
    running.stdout.resume();
    expect(await leftOver()).toHaveLength(1);
    running.kill("SIGINT");
    running.kill("SIGTERM");
    expect(await running.exited).toBe(0);
    expect(await leftOver()).toEqual([]);
  }, 120_000);
});
