// Header blocks that no client library writes: the service stays up, stays quick, and answers who comes next.
import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { createInbox, type NatsConnection } from "@nats-io/nats-core";
import { jetstreamManager } from "@nats-io/jetstream";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { storedHeadersOf } from "../../src/header-block.ts";
import type { RunningService } from "../../src/index.ts";
import { EchoRequestSchema } from "../gen/echo/v1/echo_pb.ts";
import { openPublisher, type Publisher } from "../support/publisher.ts";
import { startEcho } from "../support/service.ts";
import { block, openRaw, type Raw } from "./raw.ts";

let server: NatsFixture;
let nc: NatsConnection;
let service: RunningService;
let publisher: Publisher;
let raw: Raw;

beforeAll(async () => {
  server = await startNats();
  service = await startEcho(server.url, { env: { LOG_LEVEL: "error" } });
  nc = await server.connect();
  publisher = await openPublisher(nc, ["echo.>"]);
  raw = await openRaw(server.port);
});
afterAll(async () => {
  raw[Symbol.dispose]();
  await service.stop();
  await server[Symbol.asyncDispose]();
});

const bytes = (request: MessageInitShape<typeof EchoRequestSchema>) =>
  toBinary(EchoRequestSchema, create(EchoRequestSchema, request));
const names = (count: number) => block(...Array.from({ length: count }, (_, index) => `${index.toString(36)}:`));

const blocks: Readonly<Record<string, string>> = {
  "no version line": "Handler-Deadline-Ms: 50\r\n\r\n",
  "an empty block": "\r\n\r\n",
  "no end": "NATS/1.0\r\nHandler-Deadline-Ms: 5000",
  "empty names": block(": value", ":"),
  "a name with a space": block("Handler Deadline: 50"),
  "a name with control characters": block("Handler\u0001-Deadline-Ms: 50"),
  "a name beyond ASCII": block("Händler: 50"),
  "a line without a colon": block("nonsense"),
  "a bare line feed in a value": block("Handler-Request-Id: a\nNats-Rollup: all"),
  "a status line": "NATS/1.0 503 No Responders\r\n\r\n",
  "a status line and a status": "NATS/1.0 408 Request Timeout\r\nHandler-Status: working\r\n\r\n",
  "the same name twice": block("Content-Type: application/x-protobuf", "Content-Type: text/html"),
  "4000 times the same name": block(...Array.from({ length: 4000 }, () => "Baggage: a=b")),
  "60 kB in one value": block(`Traceparent: ${"0".repeat(60_000)}`),
  "bytes that are no UTF-8": block("Handler-Deadline-Ms: \xff\xfe"),
};

describe("a request", { timeout: 60_000 }, () => {
  test.each(Object.entries(blocks))("with %s is answered", async (_what, head) => {
    const inbox = createInbox("_INBOX.test");
    raw.publish("echo.v1.EchoService.Say", { reply: inbox, head, body: bytes({ text: "still" }) });
    await publisher.wait(inbox);
    expect(publisher.finals(inbox)).toHaveLength(1);
  });

  test.each(Object.entries(blocks))("by event with %s is answered once", async (what, head) => {
    const requestId = Buffer.from(what).toString("hex");
    raw.publish("echo.say", { head, body: bytes({ requestId, text: "still" }) });
    await publisher.wait(`echo.said.${requestId}`);
    expect(publisher.finals(`echo.said.${requestId}`)).toHaveLength(1);
  });

  test("with 80 000 header names holds nobody up", async () => {
    const begun = performance.now();
    const body = bytes({ text: "many" });
    raw.publish("echo.v1.EchoService.Say", { reply: "_INBOX.test.many", head: names(80_000), body });
    await publisher.wait("_INBOX.test.many");
    expect(performance.now() - begun).toBeLessThan(10_000); // read one by one they took a minute
  });

  test("by event with as many names as a stream takes is no burden, there neither", async () => {
    raw.publish("echo.say", { head: names(9000), body: bytes({ requestId: "kept", text: "kept" }) });
    await publisher.wait("echo.said.kept");
    const jsm = await jetstreamManager(nc);
    const stored = await jsm.streams.getMessage("ECHO_REQUESTS", { last_by_subj: "echo.say" });
    const begun = performance.now();
    expect(stored && storedHeadersOf(stored)).toBeUndefined();
    expect(performance.now() - begun).toBeLessThan(5000);
  });
});
