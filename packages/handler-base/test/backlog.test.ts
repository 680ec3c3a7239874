// A backlog of events: pulling stays exact as the server counts it, and calls on request subjects do not wait behind it.
import { jetstreamManager } from "@nats-io/jetstream";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createClient, type RunningService } from "../src/index.ts";
import { until } from "./delivery/support.ts";
import { EchoService } from "./gen/echo/v1/echo_pb.ts";
import type { EchoLog } from "./support/echo.ts";
import { openPublisher } from "./support/publisher.ts";
import { startEcho } from "./support/service.ts";

const replicas = 2;
const concurrency = 8;
let server: NatsFixture;
const services: RunningService[] = [];
const log: EchoLog = { events: [], begun: 0, ended: 0, aborted: 0 };

beforeAll(async () => {
  server = await startNats();
  for (let replica = 0; replica < replicas; replica += 1) {
    services.push(await startEcho(server.url, { log, env: { CONCURRENCY: String(concurrency), MAX_REPLICAS: "2" } }));
  }
});
afterAll(async () => {
  await Promise.all(services.map((service) => service.stop()));
  await server[Symbol.asyncDispose]();
});

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

describe("a backlog of 10 000 events", { timeout: 120_000 }, () => {
  test("is pulled exactly, and delays nobody on the request subject", async () => {
    const nc = await server.connect();
    const jsm = await jetstreamManager(nc);
    const client = createClient(EchoService, await server.connect());
    const publisher = await openPublisher(nc);
    const call = async () => {
      const start = performance.now();
      await client.say({ text: "interactive" });
      return performance.now() - start;
    };
    for (let index = 0; index < 50; index += 1) await call();
    const idle: number[] = [];
    for (let index = 0; index < 100; index += 1) idle.push(await call());

    const count = 10_000;
    for (let index = 0; index < count; index += 1) {
      publisher.publish("echo.say", { requestId: `b${index}`, text: "b", delayMs: 5 });
    }
    await nc.flush();
    const loaded: number[] = [];
    let most = 0;
    let waiting = count;
    while (waiting > count / 10) {
      loaded.push(await call());
      const info = await jsm.consumers.info("ECHO_REQUESTS", "echo_EchoService-Say_events");
      most = Math.max(most, info.num_ack_pending);
      waiting = info.num_pending;
    }
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(replicas * concurrency);
    // The bench gives the times; here only what a queue behind 10 000 events would break by far.
    expect(median(loaded)).toBeLessThan(Math.max(100, median(idle) * 20));
    await until(async () => {
      const { num_pending: pending, num_ack_pending: held } = await jsm.consumers.info(
        "ECHO_REQUESTS",
        "echo_EchoService-Say_events",
      );
      return pending + held === 0;
    });
    expect(new Set(log.events.filter((event) => event.startsWith("end b"))).size).toBe(count);
  });
});
