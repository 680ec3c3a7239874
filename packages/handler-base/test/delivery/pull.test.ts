import { setTimeout as sleep } from "node:timers/promises";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Delivery } from "../../src/delivery/delivery.ts";
import { startPull, type Pull, type PullOptions } from "../../src/delivery/pull.ts";
import { consumer, keepLog, openBench, stream, until, type Bench } from "./support.ts";

let server: NatsFixture;
let bench: Bench;
const pulls: Pull[] = [];

beforeEach(async () => {
  server = await startNats();
  bench = await openBench(server);
});
afterEach(async () => {
  await Promise.all(pulls.splice(0).map((pull) => pull.stop()));
  await server[Symbol.asyncDispose]();
});

function pullFrom(of: Bench, options: Partial<PullOptions> & Pick<PullOptions, "slots" | "onMessage">) {
  const { log, lines } = keepLog();
  const pull = startPull({
    nc: of.nc,
    connection: of.connection,
    stream,
    consumer,
    log,
    recreate: () => Promise.reject(new Error("nothing was deleted")),
    ...options,
  });
  pulls.push(pull);
  return { pull, lines };
}

/** Handles messages after `work`, and counts how often each came. */
function counting(work: () => Promise<unknown> = () => Promise.resolve()) {
  const seen = new Map<number, number>();
  const onMessage = (delivery: Delivery) => {
    const number = Number(delivery.message.string());
    seen.set(number, (seen.get(number) ?? 0) + 1);
    void work().then(() => {
      delivery.ack();
      delivery.release();
    });
  };
  return { seen, onMessage };
}

describe("a pull loop", { timeout: 60_000 }, () => {
  test("never has more messages with it than slots, as the server counts them", async () => {
    await bench.prepare();
    const count = 6000;
    await bench.publish(count);
    const { seen, onMessage } = counting(() => (Math.random() < 0.2 ? sleep(Math.random() * 4) : Promise.resolve()));
    const slots = 8;
    for (let replica = 0; replica < 3; replica += 1) pullFrom(await openBench(server), { slots, onMessage });
    let most = 0;
    let samples = 0;
    while (seen.size < count) {
      const info = await bench.jsm.consumers.info(stream, consumer);
      most = Math.max(most, info.num_ack_pending);
      samples += 1;
    }
    expect(most).toBeLessThanOrEqual(3 * slots);
    expect(most).toBeGreaterThan(slots); // else nothing was measured
    expect(samples).toBeGreaterThan(10);
    await until(async () => (await bench.jsm.streams.info(stream)).state.messages === 0);
    expect(new Set(seen.values())).toEqual(new Set([1]));
  });

  test("asks once for all slots that become free together", async () => {
    await bench.prepare();
    const held: Delivery[] = [];
    pullFrom(bench, { slots: 8, onMessage: (delivery) => held.push(delivery) });
    await bench.publish(16);
    await until(() => held.length === 8);
    const requests: { batch: number }[] = [];
    const spy = await server.connect();
    spy.subscribe("$JS.ACK.>", {
      callback: (_error, message) => {
        const text = message.string();
        if (text.startsWith("+NXT ")) requests.push(JSON.parse(text.slice(5)) as { batch: number });
      },
    });
    spy.subscribe("$JS.API.CONSUMER.MSG.NEXT.>", {
      callback: (_error, message) => void requests.push(message.json<{ batch: number }>()),
    });
    await spy.flush();
    for (const delivery of held.slice(0, 8)) {
      delivery.ack();
      delivery.release();
    }
    await until(() => held.length === 16);
    expect(requests.map(({ batch }) => batch)).toEqual([8]);
    for (const delivery of held.slice(8)) {
      delivery.ack();
      delivery.release();
    }
    await until(async () => (await bench.jsm.streams.info(stream)).state.messages === 0);
  });

  test("keeps few requests open, however slots become free one by one", async () => {
    await bench.prepare();
    const { seen, onMessage } = counting();
    pullFrom(bench, { slots: 16, onMessage });
    for (let number = 0; number < 40; number += 1) {
      await bench.publish(1, number);
      await until(() => seen.size === number + 1);
    }
    expect((await bench.jsm.consumers.info(stream, consumer)).num_waiting).toBeLessThanOrEqual(8);
  });

  test("asks again when a request ends without messages", async () => {
    await bench.prepare();
    const { seen, onMessage } = counting();
    const { lines } = pullFrom(bench, { slots: 4, onMessage, expiresMs: 5000, heartbeatMs: 1500 });
    await sleep(6500);
    await bench.publish(20);
    await until(() => seen.size === 20);
    expect(lines).toEqual([]);
  });

  test("goes on after the server was killed and started again", async () => {
    await bench.prepare();
    const { seen, onMessage } = counting(() => sleep(2));
    const { pull } = pullFrom(bench, { slots: 8, onMessage });
    await bench.publish(300);
    await until(() => seen.size > 50);
    await server.restart();
    await until(() => bench.connection.connected);
    await bench.publish(100, 300);
    await until(
      () => seen.size === 400,
      () => ({ seen: seen.size }),
    );
    expect(pull.healthy).toBe(true);
  });

  test("goes on after the server stood still for longer than its heartbeats", async () => {
    await bench.prepare({ ack_wait: 2e9 });
    const { seen, onMessage } = counting(() => sleep(2));
    const { lines } = pullFrom(bench, { slots: 8, onMessage, heartbeatMs: 200, expiresMs: 2000 });
    await bench.publish(1000);
    await until(() => seen.size > 50);
    server.pause();
    await until(() => lines.some(({ fields }) => fields["reason"] === "silent"));
    server.resume();
    await until(
      () => seen.size === 1000,
      () => ({ seen: seen.size, lines }),
    );
    await until(async () => (await bench.jsm.streams.info(stream)).state.messages === 0);
  });

  test("has a deleted consumer made again", async () => {
    await bench.prepare();
    const { seen, onMessage } = counting();
    let made = 0;
    pullFrom(bench, {
      slots: 4,
      onMessage,
      recreate: async () => {
        made += 1;
        if (made === 1) throw new Error("not yet");
        await bench.prepare();
      },
    });
    await bench.publish(10);
    await until(() => seen.size === 10);
    await bench.jsm.consumers.delete(stream, consumer);
    await bench.publish(10, 10);
    await until(() => seen.size === 20);
    expect(made).toBe(2);
  });

  test("waits for a consumer that nobody serves for a moment, as in an election, without making it anew", async () => {
    const { seen, onMessage } = counting();
    let made = 0;
    const recreate = () => Promise.resolve(void (made += 1));
    const { lines } = pullFrom(bench, { slots: 4, onMessage, recreate });
    await sleep(2500);
    expect(made).toBe(0);
    expect(lines.filter(({ level }) => level === "warn")).toHaveLength(1);
    await bench.prepare();
    await bench.publish(10);
    await until(() => seen.size === 10);
  });

  test("gives back what comes after stop, and still settles what runs", async () => {
    await bench.prepare(); // a message that were not given back would come again after 30 s only
    for (let round = 0; round < 5; round += 1) {
      const held: Delivery[] = [];
      const { pull } = pullFrom(bench, { slots: 20, onMessage: (delivery) => held.push(delivery) });
      const published = bench.publish(60, round * 60);
      await until(() => held.length > 0);
      await pull.stop();
      await published;
      const started = held.length;
      await sleep(100);
      expect(held.length).toBe(started);
      for (const delivery of held) {
        delivery.ack();
        delivery.release();
      }
      const { seen, onMessage } = counting();
      const next = pullFrom(bench, { slots: 20, onMessage });
      await until(
        () => seen.size === 60 - started,
        () => ({ seen: seen.size, started }),
        20_000,
      );
      await next.pull.stop();
      await until(async () => (await bench.jsm.streams.info(stream)).state.messages === 0);
    }
  });

  test("stops in time while the server is away", async () => {
    await bench.prepare();
    const { onMessage } = counting();
    const { pull } = pullFrom(bench, { slots: 4, onMessage });
    await sleep(200);
    await server.kill();
    await pull.stop();
    expect(pull.healthy).toBe(false);
  });
});
