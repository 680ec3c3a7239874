// Messages that wait long for their next attempt hold up nobody, survive the server's restart and are answered in the end.
import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { RunningService } from "../src/index.ts";
import { until } from "./delivery/support.ts";
import type { EchoLog } from "./support/echo.ts";
import { openPublisher, type Publisher } from "./support/publisher.ts";
import { startEcho } from "./support/service.ts";

let server: NatsFixture;
let jsm: JetStreamManager;
let publisher: Publisher;
let service: RunningService;
let log: EchoLog;

beforeEach(async () => {
  server = await startNats();
  log = { events: [], begun: 0, ended: 0, aborted: 0 };
  service = await startEcho(server.url, { log });
  const nc = await server.connect();
  jsm = await jetstreamManager(nc);
  publisher = await openPublisher(nc, ["echo.said.>", "echo.onced.>"]);
});
afterEach(async () => {
  await service[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

async function held(): Promise<{ pending: number; ackPending: number }> {
  const sum = { pending: 0, ackPending: 0 };
  for (const stream of ["ECHO_REQUESTS", "RETRY_ECHO"]) {
    for await (const info of jsm.consumers.list(stream)) {
      sum.pending += info.num_pending;
      sum.ackPending += info.num_ack_pending;
    }
  }
  return sum;
}

describe("a delayed retry", { timeout: 120_000 }, () => {
  test("1000 of them hold no slot and no lag, others flow, and all are answered across a restart of the server", async () => {
    const count = 1000;
    const delayMs = 15_000;
    for (let index = 0; index < count; index += 1) {
      publisher.publish("echo.say", { requestId: `late${index}`, text: "late", failures: 1, retryAfterMs: delayMs });
    }
    await until(
      () => log.begun >= count,
      () => log.begun,
      30_000,
    );
    await until(async () => (await held()).pending + (await held()).ackPending === 0, held, 10_000);
    expect(log.ended).toBe(0);
    for (let index = 0; index < 100; index += 1)
      publisher.publish("echo.say", { requestId: `quick${index}`, text: "q" });
    await until(() => publisher.heard.filter(({ subject }) => subject.startsWith("echo.said.quick")).length === 100);
    expect(publisher.heard.some(({ subject }) => subject.startsWith("echo.said.late"))).toBe(false);

    await server.restart();
    const answered = () =>
      new Set(
        publisher.heard.filter(({ subject }) => subject.startsWith("echo.said.late")).map(({ subject }) => subject),
      );
    await until(
      () => answered().size === count,
      () => answered().size,
      60_000,
    );
    const attempts = publisher.finals("echo.said.late7").map(({ attempt }) => attempt);
    expect(attempts).toEqual([2]);
    await until(async () => (await held()).pending + (await held()).ackPending === 0, held, 10_000);
  });

  test("the attempt is counted over deliveries and copies, and decides which is the last", async () => {
    publisher.publish("echo.once", { requestId: "mixed", text: "m", failures: 4, retryAfterMs: 2100 });
    await publisher.wait("echo.onced.mixed", 1, 60_000);
    expect(publisher.finals("echo.onced.mixed")).toMatchObject([{ text: "m", attempt: 5 }]);
    expect(log.begun).toBe(5);
    expect((await jsm.streams.info("DLQ_ECHO")).state.messages).toBe(0);
  });

  test("goes on when the service was away at the time", async () => {
    publisher.publish("echo.once", { requestId: "away", text: "a", failures: 1, retryAfterMs: 2500 });
    await until(() => log.begun === 1);
    await service.stop();
    await new Promise((resolve) => setTimeout(resolve, 3500));
    service = await startEcho(server.url, { log });
    await publisher.wait("echo.onced.away");
    expect(publisher.finals("echo.onced.away")).toMatchObject([{ attempt: 2 }]);
  });
});
