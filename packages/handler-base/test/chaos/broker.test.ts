// What the service depends on fails under load: a server that is killed and started again, one that falls silent, one of three that dies.
// The service recovers by itself, and every durable request is answered.
import { setTimeout as sleep } from "node:timers/promises";
import { startNats, startNatsCluster } from "@pipeline/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadDuring, type OutageReport } from "./support/outage.ts";
import { bundleVictim, type Bundle } from "./support/victim.ts";

let bundle: Bundle;
beforeAll(async () => {
  bundle = await bundleVictim();
}, 60_000);
afterAll(() => bundle[Symbol.asyncDispose]());

const ceilings = { readyWithinMs: 60_000, answersWithinMs: 75_000 };

function expectRecovered(report: OutageReport): void {
  expect(report.harmed).toEqual([]);
  expect(report.unanswered.slice(0, 5)).toEqual([]);
  expect(report.wrongAnswers.slice(0, 5)).toEqual([]);
  expect(report.severalFinals).toEqual([]);
  // Callers of request subjects are told, whatever it is; after the outage they are answered.
  expect(report.told.filter(({ outcome }) => outcome === "wrong")).toEqual([]);
  expect(report.toldAfter.filter(({ outcome }) => outcome !== "ok")).toEqual([]);
  expect(report.toldAfter.length).toBeGreaterThan(0);
}

describe("under load", { timeout: 240_000 }, () => {
  test("the server is killed and started again with the same store", async () => {
    await using nats = await startNats();
    const report = await loadDuring({
      bundle,
      servers: { urls: nats.url, connect: nats.connect },
      copies: 1,
      aroundMs: 3000,
      ...ceilings,
      async happens() {
        await nats.kill();
        await sleep(1500);
        await nats.restart();
      },
    });
    expectRecovered(report);
  });

  test("the server falls silent for eight seconds", async () => {
    await using nats = await startNats();
    const report = await loadDuring({
      bundle,
      servers: { urls: nats.url, connect: nats.connect },
      copies: 1,
      aroundMs: 3000,
      ...ceilings,
      async happens() {
        nats.pause();
        await sleep(8000);
        nats.resume();
      },
    });
    expectRecovered(report);
  });

  test("one node of three is killed, the one that leads the requests", async () => {
    await using cluster = await startNatsCluster();
    const report = await loadDuring({
      bundle,
      servers: cluster,
      copies: 3,
      aroundMs: 4000,
      ...ceilings,
      async happens() {
        const leader = await cluster.leaderOf("ECHO_REQUESTS");
        expect(leader).toBeDefined();
        await leader?.kill();
        await sleep(10_000);
      },
    });
    expectRecovered(report);
  });
});
