import { expect, test } from "vitest";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { startNats } from "../src/index.ts";

test("a server takes messages and keeps them over a restart", async () => {
  await using nats = await startNats({ websocket: true });
  const nc = await nats.connect();
  await (await jetstreamManager(nc)).streams.add({ name: "S", subjects: ["s.>"] });
  await jetstream(nc).publish("s.1", "kept");
  await nats.restart();
  const again = await nats.connect();
  const kept = await (await jetstreamManager(again)).streams.getMessage("S", { seq: 1 });
  expect(kept?.string()).toBe("kept");
  expect(nats.websocketUrl).toMatch(/^ws:\/\/127\.0\.0\.1:\d+$/);
});

test("servers do not get into each other's way", async () => {
  const servers = await Promise.all([startNats(), startNats(), startNats()]);
  expect(new Set(servers.map(({ port }) => port)).size).toBe(3);
  for (const server of servers) await server[Symbol.asyncDispose]();
});

test("a configuration that makes no sense is told with the server's own words", async () => {
  await expect(startNats({ config: "nonsense: {" })).rejects.toThrow(/nats-server ended at once/);
});
