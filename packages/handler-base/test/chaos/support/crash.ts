// Two replicas under load, killed at random points again and again; what came of every request and call. The test runs ten kills, the
// bench a hundred.
import { setTimeout as sleep } from "node:timers/promises";
import { startNats, type ProcessFixture } from "@pipeline/testkit";
import { startLoad, type Told } from "./load.ts";
import { judge, type Verdict } from "./judge.ts";
import { openOracle } from "./oracle.ts";
import { startRuns } from "./runs.ts";
import { harmOf, startVictim, type Bundle } from "./victim.ts";

export interface Kill {
  readonly pid: number;
  /** `performance.now()` just before it. */
  readonly at: number;
}

export interface CrashReport extends Verdict {
  readonly kills: number;
  readonly told: readonly Told[];
  /** What went wrong inside replicas before somebody killed them. */
  readonly harmed: readonly string[];
}

export interface CrashOptions {
  readonly bundle: Bundle;
  readonly kills: number;
  /** Pause between two requests of each kind, ms. */
  readonly everyMs: number;
  /** Longest wait for the last answers, ms. */
  readonly answersWithinMs: number;
}

export async function crashUnderLoad({ bundle, kills, everyMs, answersWithinMs }: CrashOptions): Promise<CrashReport> {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNats());
  const runs = stack.use(await startRuns());
  const start = () => startVictim({ bundle, natsUrl: nats.url, runsUrl: runs.url });
  const replicas = await Promise.all([start(), start()]);
  stack.defer(async () => void (await Promise.all(replicas.map((replica) => replica[Symbol.asyncDispose]()))));
  const oracle = await openOracle(await nats.connect());
  const load = startLoad({ oracle, nc: await nats.connect(), everyMs });
  const done: Kill[] = [];
  const harmed: string[] = [];
  const noteHarm = (replica: ProcessFixture) => {
    const harm = harmOf(replica);
    if (harm !== undefined) harmed.push(harm);
  };
  while (done.length < kills) {
    await sleep(200 + Math.random() * 1000);
    const slot = Math.floor(Math.random() * replicas.length);
    const victim = replicas[slot];
    if (victim === undefined) throw new Error("there is no such replica");
    noteHarm(victim);
    done.push({ pid: victim.pid, at: performance.now() });
    await victim[Symbol.asyncDispose](); // SIGKILL
    replicas[slot] = await start();
  }
  await load.stop();
  await oracle.untilAllAnswered(answersWithinMs);
  await sleep(1500); // long enough for a second final to show
  replicas.forEach(noteHarm);
  return { ...judge({ oracle, runs, kills: done }), kills: done.length, told: load.told, harmed };
}
