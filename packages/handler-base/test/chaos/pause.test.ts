// A replica that is paused for longer than its claims live and then goes on: another one has taken over, and the first says nothing more.
import { startNats, type NatsFixture, type ProcessFixture } from "@pipeline/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../delivery/support.ts";
import { judge } from "./support/judge.ts";
import { framesOfCount } from "./support/load.ts";
import { openOracle, type Oracle } from "./support/oracle.ts";
import { startRuns, type Runs } from "./support/runs.ts";
import { bundleVictim, harmOf, startVictim, type Bundle } from "./support/victim.ts";

let bundle: Bundle;
beforeAll(async () => {
  bundle = await bundleVictim();
}, 60_000);
afterAll(() => bundle[Symbol.asyncDispose]());

let stack: AsyncDisposableStack;
let nats: NatsFixture;
let runs: Runs;
let oracle: Oracle;
let replicas: ProcessFixture[];
beforeEach(async () => {
  stack = new AsyncDisposableStack();
  nats = stack.use(await startNats());
  runs = stack.use(await startRuns());
  // Twelve slots for twelve requests: a paused replica that still asks for messages would be sent some again and again.
  const env = { CONCURRENCY: "3" };
  const start = async () => stack.use(await startVictim({ bundle, natsUrl: nats.url, runsUrl: runs.url, env }));
  replicas = [await start(), await start()];
  oracle = await openOracle(await nats.connect());
}, 60_000);
afterEach(() => stack.disposeAsync());

/** Time to live of a claim, and of a message that nobody works on; then the other replica runs it. */
const takeOverMs = 5000 + 2000;

/** Twelve requests of about two seconds, six of them streams; gives the replica that runs more of them, paused. */
async function pauseOneAmidWork(): Promise<ProcessFixture> {
  for (let number = 0; number < 12; number += 1) {
    const text = `t${number}-`;
    if (number % 2 === 0) await oracle.ask("once", { requestId: `r${number}`, text, delayMs: 2000 });
    else
      await oracle.ask("count", { requestId: `r${number}`, text, frames: framesOfCount, delayMs: 500, stream: true });
  }
  const running = (replica: ProcessFixture) => runs.all.filter(({ pid }) => pid === replica.pid).length;
  await until(
    () => runs.all.length === 12,
    () => runs.all.length,
  );
  await until(
    () => oracle.frames("r1").length > 0,
    () => "no frame",
  );
  const [first, second] = replicas;
  if (first === undefined || second === undefined) throw new Error("there are no replicas");
  const paused = running(first) >= running(second) ? first : second;
  paused.pause();
  return paused;
}

describe("a paused replica", { timeout: 120_000 }, () => {
  test.each([
    { when: "after the other one has answered", resume: () => oracle.untilAllAnswered(5 * takeOverMs) },
    {
      when: "while the other one works on its requests",
      resume: () =>
        until(
          () => runs.all.length > 12,
          () => "the other replica has begun nothing",
          5 * takeOverMs,
        ),
    },
  ])("that goes on $when publishes no second answer and no frame", async ({ resume }) => {
    const paused = await pauseOneAmidWork();
    const held = runs.all.filter(({ pid }) => pid === paused.pid).map(({ id }) => id);
    await resume();
    paused.resume();
    await oracle.untilAllAnswered(5 * takeOverMs);
    await sleep(2000); // what the paused one would still say
    const report = judge({ oracle, runs, kills: [] });
    expect(report.wrongAnswers).toEqual([]);
    expect(report.severalFinals).toEqual([]);
    expect(report.wrongFrames).toEqual([]);
    for (const { id } of oracle.asked.values()) {
      expect(runs.of(id).length, `runs of ${id}`).toBe(held.includes(id) ? 2 : 1);
    }
    expect(replicas.map(harmOf)).toEqual([undefined, undefined]);
    // It serves again.
    const before = runs.all.length;
    await until(
      async () => {
        await oracle.ask("once", { requestId: `more-${runs.all.length}`, text: "", delayMs: 200 });
        return runs.all.slice(before).some(({ pid }) => pid === paused.pid);
      },
      () => "the paused replica runs nothing any more",
    );
    await oracle.untilAllAnswered(30_000);
  });
});
