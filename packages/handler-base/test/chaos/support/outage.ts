// Load on two replicas while something happens to the servers that they all depend on; what came of every request and call.
//
// The oracle is cut off as well and may miss finals. What it missed it asks for again, as any reader may: the answer must then come from
// the store, without another run.
import { setTimeout as sleep } from "node:timers/promises";
import { jetstreamManager } from "@nats-io/jetstream";
import type { ConnectionOptions, NatsConnection } from "@nats-io/nats-core";
import type { ProcessFixture } from "@pipeline/testkit";
import { until } from "../../delivery/support.ts";
import { counted, framesOfCount, startLoad, type Told } from "./load.ts";
import { openOracle, type Oracle } from "./oracle.ts";
import { startRuns } from "./runs.ts";
import { harmOf, startVictim, type Bundle } from "./victim.ts";

/** One server or several. */
export interface Servers {
  readonly urls: string;
  readonly connect: (options?: ConnectionOptions) => Promise<NatsConnection>;
}

export interface OutageOptions {
  readonly bundle: Bundle;
  readonly servers: Servers;
  readonly env?: Readonly<Record<string, string>>;
  /** What happens; load runs before, during and after it. */
  readonly happens: () => Promise<void>;
  /** How long load runs before and after, ms. */
  readonly aroundMs: number;
  readonly readyWithinMs: number;
  readonly answersWithinMs: number;
}

export interface OutageReport {
  readonly requests: number;
  readonly runs: number;
  /** Requests whose final the oracle did not hear. */
  readonly missed: number;
  /** Those of them that had no stored answer. */
  readonly lost: readonly string[];
  /** Answers to something else, and errors. */
  readonly wrongAnswers: readonly string[];
  readonly severalFinals: readonly string[];
  readonly told: readonly Told[];
  /** Those of them that began a second after all replicas were ready again. */
  readonly toldAfter: readonly Told[];
  readonly harmed: readonly string[];
  /** How long after it was over all replicas were ready again, and nothing was left to do, ms. */
  readonly readyAfterMs: number;
  readonly doneAfterMs: number;
}

export async function loadDuring(options: OutageOptions): Promise<OutageReport> {
  const { bundle, servers, env = {}, happens, aroundMs, readyWithinMs, answersWithinMs } = options;
  await using stack = new AsyncDisposableStack();
  const runs = stack.use(await startRuns());
  const start = () => startVictim({ bundle, natsUrl: servers.urls, runsUrl: runs.url, env });
  const first = stack.use(await start()); // provisions
  const replicas: readonly ProcessFixture[] = [first, stack.use(await start())];
  const nc = await servers.connect();
  const oracle = await openOracle(nc);
  const load = startLoad({ oracle, nc: await servers.connect(), everyMs: 60 });
  await sleep(aroundMs);
  await happens();
  const over = performance.now();
  await Promise.all(replicas.map((replica) => replica.untilReady(readyWithinMs)));
  const readyAfterMs = performance.now() - over;
  await sleep(aroundMs);
  await load.stop();
  await untilNothingIsLeft(nc, answersWithinMs);
  const doneAfterMs = performance.now() - over;
  await sleep(1500); // long enough for a second final to show
  const missed = oracle.unanswered();
  const runsBefore = new Map(missed.map((id) => [id, runs.of(id).length]));
  for (const id of missed) await oracle.asked.get(id)?.again();
  await until(
    () => missed.every((id) => oracle.repeated(id).length > 0 || oracle.finals(id).length > 0),
    () => "requests that were asked again have no answer",
    30_000,
  ).catch(() => undefined); // told by the report
  return {
    requests: oracle.asked.size,
    runs: runs.all.length,
    missed: missed.length,
    lost: missed.filter((id) => runs.of(id).length !== runsBefore.get(id) || oracle.repeated(id).length === 0),
    ...judge(oracle),
    told: load.told,
    toldAfter: load.told.filter(({ begun }) => begun > over + readyAfterMs + 1000),
    harmed: replicas.flatMap((replica) => harmOf(replica) ?? []),
    readyAfterMs,
    doneAfterMs,
  };
}

/** What must not have happened. Callers of request subjects are told, whatever it is; after the outage they are answered. */
export const brokenPromises = (report: OutageReport) => ({
  harmed: report.harmed,
  lost: report.lost.slice(0, 5),
  wrongAnswers: report.wrongAnswers.slice(0, 5),
  severalFinals: report.severalFinals,
  misledCallers: report.told.filter(({ outcome }) => outcome === "wrong"),
  failedCallsAfter: report.toldAfter.filter(({ outcome }) => outcome !== "ok"),
  noCallsAfter: report.toldAfter.length === 0,
});
export const noPromiseBroken = {
  harmed: [],
  lost: [],
  wrongAnswers: [],
  severalFinals: [],
  misledCallers: [],
  failedCallsAfter: [],
  noCallsAfter: false,
};

/** Waits until the server has nothing more to deliver: no message waits, none is in flight, none is to be tried again later. */
async function untilNothingIsLeft(nc: NatsConnection, withinMs: number): Promise<void> {
  const jsm = await jetstreamManager(nc, { checkAPI: false });
  let left = "nothing was read";
  const isDone = async () => {
    try {
      left = "";
      for (const stream of ["ECHO_REQUESTS", "RETRY_ECHO"]) {
        for await (const { name, num_pending, num_ack_pending } of jsm.consumers.list(stream)) {
          if (num_pending + num_ack_pending > 0) left += `${name}: ${num_pending} wait, ${num_ack_pending} in flight; `;
        }
      }
      const { state } = await jsm.streams.info("RETRY_ECHO", { subjects_filter: "_later.>" });
      if (Object.keys(state.subjects ?? {}).length > 0) left += "copies wait for their time";
      return left === "";
    } catch (reason) {
      left = String(reason); // an election
      return false;
    }
  };
  await until(isDone, () => left, withinMs);
}

function judge(oracle: Oracle) {
  const wrongAnswers: string[] = [];
  const severalFinals: string[] = [];
  for (const { id, text, method } of oracle.asked.values()) {
    const live = oracle.finals(id);
    if (live.length > 1) severalFinals.push(`${id}: ${live.length}`);
    const expected = method === "count" ? counted(text, framesOfCount) : text;
    for (const { answer } of [...live, ...oracle.repeated(id)]) {
      if (answer.error) wrongAnswers.push(`${id}: ${answer.error.type} ${answer.error.message}`);
      else if (answer.text !== expected) wrongAnswers.push(`${id}: ${answer.text}`);
    }
  }
  return { wrongAnswers, severalFinals };
}
