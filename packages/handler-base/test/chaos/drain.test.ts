// SIGTERM to the bundle: what is in flight is answered, what was not begun goes to another replica, and the process ends with code 0.
import { setTimeout as sleep } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import { startNats, startProcess, type NatsFixture, type ProcessFixture } from "@pipeline/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EchoRequestSchema, EchoResponseSchema } from "../gen/echo/v1/echo_pb.ts";
import { until } from "../delivery/support.ts";
import { openOracle, type Oracle } from "./support/oracle.ts";
import { startRuns, type Runs } from "./support/runs.ts";
import { bundleVictim, startVictim, type Bundle } from "./support/victim.ts";

let bundle: Bundle;
beforeAll(async () => {
  bundle = await bundleVictim();
}, 60_000);
afterAll(() => bundle[Symbol.asyncDispose]());

let stack: AsyncDisposableStack;
let nats: NatsFixture;
let nc: NatsConnection;
let runs: Runs;
let oracle: Oracle;
beforeEach(async () => {
  stack = new AsyncDisposableStack();
  nats = stack.use(await startNats());
  runs = stack.use(await startRuns());
  nc = await nats.connect();
  oracle = await openOracle(nc);
}, 60_000);
afterEach(() => stack.disposeAsync());

/** An ack wait that no test waits for: what is given back runs elsewhere because it was given back. */
const patient = { ACK_WAIT: "60s" };

const start = async (env: Record<string, string> = patient): Promise<ProcessFixture> =>
  stack.use(await startVictim({ bundle, natsUrl: nats.url, runsUrl: runs.url, env }));

/** A call as a bare client makes it; resolves with the text, rejects where nobody answers. */
async function call(requestId: string, delayMs: number): Promise<string> {
  const request = create(EchoRequestSchema, { requestId, text: requestId, delayMs });
  const answer = await nc.request("echo.v1.EchoService.Say", toBinary(EchoRequestSchema, request), { timeout: 20_000 });
  const { text, error } = fromBinary(EchoResponseSchema, answer.data);
  if (error) throw new Error(error.message);
  return text;
}

const ids = (name: string, count: number) => Array.from({ length: count }, (_, index) => `${name}${index}`);

/** How it ended, and what it said where it did not end well. */
const endOf = async (replica: ProcessFixture) => {
  const exit = await Promise.race([replica.exited, sleep(50_000, "still running 50 s after SIGTERM", { ref: false })]);
  return exit === "still running 50 s after SIGTERM" ? `${exit}:\n${replica.stderr.slice(-2000)}` : exit;
};
const well = { code: 0, signal: null };

describe("SIGTERM", { timeout: 120_000 }, () => {
  test("lets 50 calls in flight be answered", async () => {
    const replica = await start();
    const calls = ids("c", 50);
    const answers = Promise.all(calls.map((id) => call(id, 500)));
    await until(
      () => runs.all.length === 50,
      () => `${runs.all.length} of 50 calls began`,
    );
    replica.terminate();
    expect(await answers).toEqual(calls);
    expect(await endOf(replica)).toEqual(well);
    expect(runs.all).toHaveLength(50);
  });

  test("leaves no caller waiting who calls meanwhile", async () => {
    const [leaving, staying] = [await start(), await start()];
    const lost: string[] = [];
    const calling = new AbortController();
    // As many callers as one replica has slots for: nobody is refused.
    const callers = ids("caller", 48).map(async (name) => {
      for (let number = 0; !calling.signal.aborted; number += 1) {
        await call(`${name}-${number}`, 10).catch((reason: unknown) => lost.push(`${name}: ${String(reason)}`));
      }
    });
    await until(
      () => runs.all.length > 500,
      () => `${runs.all.length} calls began`,
    );
    leaving.terminate();
    expect(await endOf(leaving)).toEqual(well);
    calling.abort();
    await Promise.all(callers);
    expect(lost).toEqual([]);
    expect(staying.running).toBe(true);
  });

  test("lets 50 messages in flight be answered, and none that had finished is delivered again", async () => {
    const replica = await start();
    await Promise.all(ids("m", 50).map((requestId) => oracle.ask("say", { requestId, text: requestId, delayMs: 500 })));
    await until(
      () => runs.all.length === 50,
      () => `${runs.all.length} of 50 messages began`,
    );
    replica.terminate();
    expect(await endOf(replica)).toEqual(well);
    await oracle.untilAllAnswered(5000);
    await start();
    await sleep(2000); // long enough for the next replica to begin what it should not
    expect(runs.all).toHaveLength(50);
    for (const id of ids("m", 50)) expect(oracle.finals(id), id).toHaveLength(1);
    const jsm = await jetstreamManager(nc);
    for await (const { num_ack_pending, num_redelivered, num_pending } of jsm.consumers.list("ECHO_REQUESTS")) {
      expect({ num_ack_pending, num_redelivered, num_pending }).toEqual({
        num_ack_pending: 0,
        num_redelivered: 0,
        num_pending: 0,
      });
    }
  });

  test("leaves a backlog to the next replica: each message runs once", async () => {
    const replica = await start();
    await Promise.all(
      ids("b", 120).map((requestId) => oracle.ask("once", { requestId, text: requestId, delayMs: 300 })),
    );
    await until(
      () => runs.all.length >= 40,
      () => `${runs.all.length} messages began`,
    );
    replica.terminate();
    expect(await endOf(replica)).toEqual(well);
    const before = runs.all.length;
    expect(before).toBeLessThan(120);
    await start();
    await oracle.untilAllAnswered(50_000);
    expect(runs.all).toHaveLength(120);
    for (const id of ids("b", 120)) expect(oracle.finals(id), id).toHaveLength(1);
  });

  test("gives messages back at once when the grace period is over, as often as it comes, and uses up no attempt", async () => {
    const brief = { ...patient, SHUTDOWN_GRACE: "100ms" };
    const first = await start(brief);
    // Of six stops five would use up all attempts.
    for (const [method, requestId] of [
      ["say", "g1"],
      ["once", "g2"],
    ] as const) {
      await oracle.ask(method, { requestId, text: requestId, delayMs: 3000 });
    }
    let replica = first;
    for (let stops = 1; stops <= 6; stops += 1) {
      await until(
        () => runs.all.length === 2 * stops,
        () => ({ stops, runs: runs.all }),
        30_000,
      );
      const next = stops === 6 ? await start() : await start(brief);
      replica.terminate();
      expect(await endOf(replica)).toEqual(well);
      replica = next;
    }
    await oracle.untilAllAnswered(30_000);
    for (const id of ["g1", "g2"]) {
      expect(oracle.finals(id).map(({ answer }) => answer.error?.message ?? answer.text)).toEqual([id]);
    }
  });

  test("the second time ends the process quickly, and the work goes on elsewhere", async () => {
    const replica = await start();
    await oracle.ask("once", { requestId: "s1", text: "s1", delayMs: 20_000 });
    const waiting = call("s2", 20_000).catch(String);
    await until(
      () => runs.all.length === 2,
      () => runs.all,
    );
    await start();
    replica.terminate();
    await sleep(300);
    expect(replica.running).toBe(true);
    const before = performance.now();
    replica.terminate();
    expect(await endOf(replica)).toEqual(well);
    expect(performance.now() - before).toBeLessThan(10_000); // the grace period would be 25 s
    expect(await waiting).toContain("the service is stopping");
    await until(
      () => runs.of("s1").length === 2,
      () => "the message was not begun elsewhere",
    );
  });

  test.each([
    { state: "whose server cannot be reached", away: () => nats.kill(), back: () => nats.restart() },
    { state: "whose server does not answer", away: async () => nats.pause(), back: async () => nats.resume() },
  ])("ends a replica that is still starting, $state", async ({ away, back }) => {
    await away();
    const replica = stack.use(
      await startProcess({
        command: [process.execPath, bundle.main],
        env: { NATS_URL: nats.url, HEALTH_HOST: "127.0.0.1", HEALTH_PORT: "0", LOG_LEVEL: "info" },
      }),
    );
    await sleep(2000); // it has come as far as it can
    expect(replica.running, replica.stderr).toBe(true);
    replica.terminate();
    const end = await endOf(replica);
    await back();
    expect(end).toEqual(well);
  });

  test("ends a replica whose server has fallen silent", async () => {
    // A silent server cannot be told anything: what was in flight comes again after the ack wait.
    const brief = { ACK_WAIT: "2s", SHUTDOWN_GRACE: "1s" };
    const replica = await start(brief);
    await oracle.ask("once", { requestId: "q1", text: "q1", delayMs: 1500 });
    await until(
      () => runs.all.length === 1,
      () => "nothing began",
    );
    nats.pause();
    replica.terminate();
    const end = await endOf(replica);
    nats.resume();
    expect(end).toEqual(well);
    await start(brief);
    await oracle.untilAllAnswered(50_000);
  });
});
