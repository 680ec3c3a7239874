// Outages of NATS under load, longer than in the tests: one server paused for 30 s, and each node of three killed in turn. Prints what came
// of every request and call. Usage: node bench/crash/outage.ts. Exit code 1 where a promise was broken.
import { isDeepStrictEqual } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { startNats, startNatsCluster } from "@pipeline/testkit";
import {
  brokenPromises,
  loadDuring,
  noPromiseBroken,
  type OutageReport,
} from "../../packages/handler-base/test/chaos/support/outage.ts";
import { bundleVictim } from "../../packages/handler-base/test/chaos/support/victim.ts";

const pauseMs = 30_000;
const ceilings = { aroundMs: 5000, readyWithinMs: 120_000, answersWithinMs: 120_000 };

await using bundle = await bundleVictim();
await paused();
await killedInTurn();

async function paused(): Promise<void> {
  await using nats = await startNats();
  const report = await loadDuring({
    bundle,
    servers: { urls: nats.url, connect: nats.connect },
    ...ceilings,
    async happens() {
      nats.pause();
      await sleep(pauseMs);
      nats.resume();
    },
  });
  print("one server, paused for 30 s", report);
}

async function killedInTurn(): Promise<void> {
  await using cluster = await startNatsCluster();
  const report = await loadDuring({
    bundle,
    servers: cluster,
    ...ceilings,
    async happens() {
      for (const node of cluster.nodes) {
        await node.kill();
        await sleep(10_000);
        await node.restart();
        await sleep(5000);
      }
    },
  });
  print("three servers, each killed for 10 s in turn", report);
}

function print(what: string, report: OutageReport): void {
  const broken = brokenPromises(report);
  const { requests, runs, missed, told, readyAfterMs, doneAfterMs } = report;
  const calls = Object.entries(Object.groupBy(told, ({ outcome }) => outcome));
  console.log(
    JSON.stringify(
      {
        what,
        durableRequests: requests,
        runs,
        finalsThatTheOracleMissed: missed,
        calls: Object.fromEntries(calls.map(([outcome, list = []]) => [outcome, list.length])),
        readyAfterMs: Math.round(readyAfterMs),
        nothingLeftAfterMs: Math.round(doneAfterMs),
        broken,
      },
      null,
      2,
    ),
  );
  if (!isDeepStrictEqual(broken, noPromiseBroken)) process.exitCode = 1;
}
