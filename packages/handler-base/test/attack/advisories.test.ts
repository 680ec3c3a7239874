// Advisories that the server never wrote: who may publish them can have no message answered or removed that the service has not had yet.
import { setTimeout as sleep } from "node:timers/promises";
import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { RunningService } from "../../src/index.ts";
import { until } from "../delivery/support.ts";
import type { EchoLog } from "../support/echo.ts";
import { openPublisher, type Publisher } from "../support/publisher.ts";
import { startEcho } from "../support/service.ts";

let server: NatsFixture;
let nc: NatsConnection;
let jsm: JetStreamManager;
let service: RunningService;
let publisher: Publisher;
const log: EchoLog = { events: [], begun: 0, ended: 0, aborted: 0 };

beforeAll(async () => {
  server = await startNats();
  service = await startEcho(server.url, { log, env: { CONCURRENCY: "1" } });
  nc = await server.connect();
  jsm = await jetstreamManager(nc);
  publisher = await openPublisher(nc, ["echo.>", "_dlq.>"]);
});
afterAll(async () => {
  await service.stop();
  await server[Symbol.asyncDispose]();
});

async function forge(stream: string, consumer: string, seq: number, deliveries: number): Promise<void> {
  const advisory = { type: "io.nats.jetstream.advisory.v1.max_deliver", stream, consumer, stream_seq: seq, deliveries };
  await nc.request(`$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.${stream}.${consumer}`, JSON.stringify(advisory));
}

test("a forged advisory takes no waiting message, and nonsense holds up no true one", async () => {
  const stream = "ECHO_REQUESTS";
  const consumer = "echo_EchoService-Say_events";
  publisher.publish("echo.say", { requestId: "first", delayMs: 1500 });
  await until(() => log.events.includes("begin first"));
  publisher.publish("echo.say", { requestId: "waiting", text: "here" });
  await nc.flush();
  const { last_seq: waiting } = (await jsm.streams.info(stream)).state;
  await forge(stream, consumer, waiting, 3);
  await forge(stream, consumer, waiting, 1);
  await forge(stream, consumer, waiting + 1000, 3);
  await forge(stream, consumer, -1, 3);
  await forge(stream, consumer, 1.5, 3);
  for (const text of ["", "null", "[]", "{", '{"stream":1}', "x".repeat(100_000)]) {
    await nc.request(`$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.${stream}.${consumer}`, text);
  }
  await publisher.wait("echo.said.waiting");
  await until(async () => (await jsm.streams.info("ADVISORIES_ECHO")).state.messages === 0);
  await sleep(100);
  expect(publisher.finals("echo.said.waiting").map(({ text, error }) => [text, error?.type])).toEqual([
    ["here", undefined],
  ]);
  expect(publisher.heard.filter(({ subject }) => subject.startsWith("_dlq."))).toEqual([]);
}, 60_000);
