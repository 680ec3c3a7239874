// Reply subjects that are no inboxes: the service has rights that its callers do not have, and must not use them for them.
import { setTimeout as sleep } from "node:timers/promises";
import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { jetstreamManager } from "@nats-io/jetstream";
import { createInbox, type NatsConnection } from "@nats-io/nats-core";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunningService } from "../../src/index.ts";
import { EchoRequestSchema } from "../gen/echo/v1/echo_pb.ts";
import type { EchoLog } from "../support/echo.ts";
import { openPublisher, type Publisher } from "../support/publisher.ts";
import { startEcho } from "../support/service.ts";
import { block, connections, openRaw, type Raw } from "./raw.ts";

let server: NatsFixture;
let nc: NatsConnection;
let service: RunningService;
let publisher: Publisher;
let raw: Raw;
const log: EchoLog = { events: [], begun: 0, ended: 0, aborted: 0 };

beforeAll(async () => {
  server = await startNats();
  service = await startEcho(server.url, { log, env: { LOG_LEVEL: "error" } });
  nc = await server.connect();
  publisher = await openPublisher(nc, [">"]);
  raw = await openRaw(server.port);
});
afterAll(async () => {
  raw[Symbol.dispose]();
  await service.stop();
  await server[Symbol.asyncDispose]();
});

const bytes = (request: MessageInitShape<typeof EchoRequestSchema>) =>
  toBinary(EchoRequestSchema, create(EchoRequestSchema, request));

/** Everything that was asked for before has been answered, or never will be. */
async function settled(): Promise<void> {
  for (const subject of ["echo.v1.EchoService.Say", "echo.v1.EchoService.Count"]) {
    const inbox = createInbox("_INBOX.test");
    raw.publish(subject, { reply: inbox, body: bytes({ text: "after", frames: 1 }) });
    await publisher.wait(inbox);
  }
  await sleep(100);
}

describe("a reply subject", { timeout: 60_000 }, () => {
  test("that is an order to the server deletes nothing and purges nothing", async () => {
    const jsm = await jetstreamManager(nc);
    await jsm.streams.add({ name: "VICTIM", subjects: ["victim.>"] });
    await jsm.jetstream().publish("victim.x");
    for (const subject of ["echo.v1.EchoService.Count", "$SRV.PING", "$SRV.INFO.echo"]) {
      for (const reply of ["$JS.API.STREAM.DELETE.VICTIM", "$JS.API.STREAM.PURGE.VICTIM"]) {
        raw.publish(subject, { reply, body: subject.startsWith("$") ? new Uint8Array() : bytes({ frames: 0 }) });
      }
    }
    await settled();
    expect((await jsm.streams.info("VICTIM")).state.messages).toBe(1);
  });

  test.each([
    "echo.v1.EchoService.Say",
    "echo.say",
    "echo.onced.victim",
    "echo.frames.victim",
    "other.service.event",
    "_ctl.token",
    "_durable.echo.v1.EchoService.Say",
    "_final.key.echo.onced.victim",
    "_retry.echo.EchoService-Say",
    "_later.echo.ECHO_REQUESTS-1",
    "_dlq.echo.EchoService-Say.internal",
    "$KV.handler_leases.claim.x",
    "$O.handler_payloads.M.x",
    "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.ECHO_REQUESTS.echo_EchoService-Say_events",
    "_INBOX.*",
    "_INBOX.>",
    "_INBOX",
    `_INBOX.${"x".repeat(600)}`,
  ])("%s gets nothing, and nothing runs for it", async (reply) => {
    await settled();
    const begun = log.begun;
    const heard = publisher.heard.filter(({ subject }) => subject === reply).length;
    for (const subject of ["echo.v1.EchoService.Count", "echo.v1.EchoService.Say", "echo.v1.EchoService.Sum"]) {
      raw.publish(subject, { reply, body: bytes({ requestId: "reflected", frames: 20 }) });
    }
    raw.publish("$SRV.PING.echo", { reply });
    await settled();
    const heardSince = publisher.heard.filter(({ subject }) => subject === reply).length - heard;
    // Our own probe calls Say and Count once each, and both subjects may be among those that are tried.
    const own = ["echo.v1.EchoService.Say", "echo.v1.EchoService.Count"].includes(reply) ? 3 : 0;
    expect({ begun: log.begun - begun, heardSince: Math.max(0, heardSince - own) }).toEqual({
      begun: 2,
      heardSince: 0,
    });
  });

  test.each(["_INBOX.abc.1", "_INBOX_u1.abc", "_INBOX.a@b"])("%s is answered", async (reply) => {
    raw.publish("echo.v1.EchoService.Say", { reply, body: bytes({ text: "x" }) });
    await publisher.wait(reply);
  });

  test("of a durable call that is longer than the server takes does not cost the service its connection", async () => {
    for (const inbox of [
      `_INBOX.${"a".repeat(5000)}`,
      "_INBOX.a.>",
      "_INBOX.*",
      "$JS.API.STREAM.DELETE.ECHO_REQUESTS",
    ]) {
      raw.publish("_durable.echo.v1.EchoService.Say", { head: block(`Handler-Reply-To: ${inbox}`), body: bytes({}) });
    }
    const good = createInbox("_INBOX.test");
    raw.publish("_durable.echo.v1.EchoService.Say", { head: block(`Handler-Reply-To: ${good}`), body: bytes({}) });
    await publisher.wait(good);
    await settled();
    const ofService = async (state: string) => (await connections(server, state)).filter(({ name }) => name === "echo");
    expect(await ofService("closed")).toEqual([]);
    expect(await ofService("open")).toHaveLength(1);
  });
});
