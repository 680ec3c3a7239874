// Messages that nobody will try again: each ends answered, where someone waits, and in the dead-letter stream with its reason.
import { jetstreamManager, type JetStreamManager, type StoredMsg } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { RunningService } from "../src/index.ts";
import { until } from "./delivery/support.ts";
import type { EchoLog } from "./support/echo.ts";
import { openPublisher, type Publisher } from "./support/publisher.ts";
import { startEcho } from "./support/service.ts";

let server: NatsFixture;
let nc: NatsConnection;
let jsm: JetStreamManager;
let publisher: Publisher;
let service: RunningService;
let log: EchoLog;

beforeEach(async () => {
  server = await startNats();
  log = { events: [], begun: 0, ended: 0, aborted: 0 };
  service = await startEcho(server.url, { log });
  nc = await server.connect();
  jsm = await jetstreamManager(nc);
  publisher = await openPublisher(nc, ["echo.>"]);
});
afterEach(async () => {
  await service[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

async function letters(count: number): Promise<StoredMsg[]> {
  const stream = "DLQ_ECHO";
  await until(
    async () => (await jsm.streams.info(stream)).state.messages >= count,
    () => publisher.heard.map(({ subject }) => subject),
    20_000,
  );
  const out: StoredMsg[] = [];
  for (let seq = 1; seq <= count; seq += 1) {
    const letter = await jsm.streams.getMessage(stream, { seq });
    if (letter) out.push(letter);
  }
  return out;
}

/** No consumer of the service holds anything any more. */
async function nothingPending(): Promise<void> {
  await until(
    async () => {
      for await (const { num_ack_pending: held, num_pending: waiting } of jsm.consumers.list("ECHO_REQUESTS")) {
        if (held > 0 || waiting > 0) return false;
      }
      return true;
    },
    () => "pending messages",
    10_000,
  );
}

describe("a dead letter", { timeout: 60_000 }, () => {
  test("is written for bytes that are no message: payload kept, code and subject in headers", async () => {
    nc.publish("echo.say", Uint8Array.of(0x0a, 0xff, 0x01));
    await publisher.wait("echo.said._invalid");
    const [letter] = await letters(1);
    expect(letter?.subject).toBe("_dlq.echo.EchoService-Say.invalid_argument");
    expect([...(letter?.data ?? [])]).toEqual([0x0a, 0xff, 0x01]);
    expect(letter?.header.get("Handler-Original-Subject")).toBe("echo.say");
    expect(letter?.header.get("Handler-Cause")).toBe("invalid_argument");
    expect(letter?.header.get("Handler-Deliveries")).toBe("1");
    expect(log.begun).toBe(0);
    await nothingPending();
  });

  test("is written for an invalid request, and names every bad field", async () => {
    publisher.publish("echo.count", { requestId: "v1", frames: -5, text: "x".repeat(20_000) });
    await publisher.wait("echo.counted.v1");
    const [answer] = publisher.finals("echo.counted.v1");
    expect(answer?.error?.type).toBe("invalid_argument");
    expect(answer?.error?.violations.map((line) => line.split(":")[0])).toEqual(["text", "frames"]);
    const [letter] = await letters(1);
    expect(letter?.header.get("Handler-Cause-Message")).not.toContain("xxx");
    await nothingPending();
  });

  test("is written after the last attempt of what always fails, answered once", async () => {
    publisher.publish("echo.once", { requestId: "f1", fail: "unavailable" });
    await publisher.wait("echo.onced.f1");
    expect(publisher.finals("echo.onced.f1")[0]?.error?.type).toBe("unavailable");
    const [letter] = await letters(1);
    expect(letter?.header.get("Handler-Deliveries")).toBe("5");
    expect(letter?.header.get("Handler-Request-Id")).toBe("f1");
    expect(log.begun).toBe(5);
    expect(publisher.finals("echo.onced.f1")).toHaveLength(1);
    await nothingPending();
  });

  test("is written at once for an error that no attempt mends", async () => {
    publisher.publish("echo.say", { requestId: "p1", fail: "permission_denied" });
    await publisher.wait("echo.said.p1");
    const [letter] = await letters(1);
    expect(letter?.header.get("Handler-Cause")).toBe("permission_denied");
    expect(log.begun).toBe(1);
    await nothingPending();
  });

  test("is written for a deadline that passed before the call began, without a run", async () => {
    await service.stop();
    publisher.publish("echo.say", { requestId: "d1", text: "late" }, { "Handler-Deadline-Ms": "50" });
    await nc.flush();
    await new Promise((resolve) => setTimeout(resolve, 300));
    service = await startEcho(server.url, { log });
    await publisher.wait("echo.said.d1");
    expect(publisher.finals("echo.said.d1")[0]?.error?.type).toBe("deadline_exceeded");
    const [letter] = await letters(1);
    expect(letter?.header.get("Handler-Cause")).toBe("deadline_exceeded");
    expect(log.begun).toBe(0);
  });

  test("is written by the sweeper for a message that nobody lived to answer", async () => {
    await service.stop();
    // A consumer that takes the message as often as the server allows and never says a word: what a crash on every attempt looks like.
    publisher.publish("echo.once", { requestId: "c1", text: "deadly" });
    await nc.flush();
    const consumer = await jsm.jetstream().consumers.get("ECHO_REQUESTS", "echo_EchoService-Once_events");
    for (let delivery = 1; delivery <= 5; delivery += 1) {
      const message = await consumer.next({ expires: 10_000 });
      expect(message?.info.deliveryCount).toBe(delivery);
    }
    service = await startEcho(server.url, { log });
    await publisher.wait("echo.onced.c1");
    expect(publisher.finals("echo.onced.c1")[0]?.error?.message).toMatch(/too often/);
    const [letter] = await letters(1);
    expect(letter?.header.get("Handler-Cause")).toBe("max_deliveries");
    expect(log.begun).toBe(0);
  });
});
