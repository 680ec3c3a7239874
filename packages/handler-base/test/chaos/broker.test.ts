// What the service depends on fails under load: a server that is killed and started again, one that falls silent, one of three that dies.
// The service recovers by itself, and every durable request is answered.
import { setTimeout as sleep } from "node:timers/promises";
import { startNats, startNatsCluster } from "@pipeline/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { brokenPromises, loadDuring, noPromiseBroken } from "./support/outage.ts";
import { bundleVictim, type Bundle } from "./support/victim.ts";

let bundle: Bundle;
beforeAll(async () => {
  bundle = await bundleVictim();
}, 60_000);
afterAll(() => bundle[Symbol.asyncDispose]());

const ceilings = { readyWithinMs: 60_000, answersWithinMs: 75_000 };

describe("under load", { timeout: 240_000 }, () => {
  test("the server is killed and started again with the same store", async () => {
    await using nats = await startNats();
    const report = await loadDuring({
      bundle,
      servers: { urls: nats.url, connect: nats.connect },
      aroundMs: 2000,
      ...ceilings,
      async happens() {
        await nats.kill();
        await sleep(1500);
        await nats.restart();
      },
    });
    expect(brokenPromises(report)).toEqual(noPromiseBroken);
  });

  test("the server falls silent for longer than claims and messages wait", async () => {
    await using nats = await startNats();
    const report = await loadDuring({
      bundle,
      servers: { urls: nats.url, connect: nats.connect },
      aroundMs: 2000,
      ...ceilings,
      async happens() {
        nats.pause();
        await sleep(7000);
        nats.resume();
      },
    });
    expect(brokenPromises(report)).toEqual(noPromiseBroken);
  });

  test("one node of three is killed, the one that leads the requests", async () => {
    await using cluster = await startNatsCluster();
    const report = await loadDuring({
      bundle,
      servers: cluster,
      aroundMs: 3000,
      ...ceilings,
      async happens() {
        const leader = await cluster.leaderOf("ECHO_REQUESTS");
        expect(leader).toBeDefined();
        await leader?.kill();
        await sleep(8000);
      },
    });
    expect(brokenPromises(report)).toEqual(noPromiseBroken);
  });
});
