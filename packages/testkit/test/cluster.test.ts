import { expect, test } from "vitest";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { startNatsCluster } from "../src/index.ts";

test("a stream of three copies outlives the death of the node that leads it", { timeout: 120_000 }, async () => {
  await using cluster = await startNatsCluster();
  const nc = await cluster.connect();
  const jsm = await jetstreamManager(nc);
  await jsm.streams.add({ name: "S", subjects: ["s.>"], num_replicas: 3 });
  await jetstream(nc).publish("s.1", "kept");
  const leader = await cluster.leaderOf("S");
  expect(leader).toBeDefined();
  await leader?.kill();
  const end = performance.now() + 60_000;
  let found: string | undefined;
  while (found === undefined && performance.now() < end) {
    found = (await jsm.streams.getMessage("S", { seq: 1 }).catch(() => null))?.string();
  }
  expect(found, "the message after the election").toBe("kept");
  await leader?.restart();
});
