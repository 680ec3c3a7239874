// The same request published twice at once and again later, by both ways: one run, one answer, every reader served.
import type { NatsConnection } from "@nats-io/nats-core";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createClient, type RunningService } from "../src/index.ts";
import { EchoService } from "./gen/echo/v1/echo_pb.ts";
import type { EchoLog } from "./support/echo.ts";
import { openPublisher, type Publisher } from "./support/publisher.ts";
import { startEcho } from "./support/service.ts";
import { setTimeout as sleep } from "node:timers/promises";

let server: NatsFixture;
let nc: NatsConnection;
let publisher: Publisher;
let log: EchoLog;
const services: RunningService[] = [];

beforeEach(async () => {
  server = await startNats();
  log = { events: [], begun: 0, ended: 0, aborted: 0 };
  services.push(await startEcho(server.url, { log }), await startEcho(server.url, { log }));
  nc = await server.connect();
  publisher = await openPublisher(nc, ["echo.>"]);
});
afterEach(async () => {
  await Promise.all(services.splice(0).map((service) => service[Symbol.asyncDispose]()));
  await server[Symbol.asyncDispose]();
});

describe("a request that is published again", { timeout: 60_000 }, () => {
  test("as an event at once: one run, one final, frames only once in order", async () => {
    const request = { requestId: "r1", text: "n", frames: 5, delayMs: 40, stream: true };
    publisher.publish("echo.count", request);
    publisher.publish("echo.count", request);
    await publisher.wait("echo.counted.r1");
    await sleep(1000); // long enough for a second final to show
    expect(log.begun).toBe(1);
    const finals = publisher.heard.filter(
      ({ subject, message }) => subject === "echo.counted.r1" && !message.headers?.has("Handler-Replayed"),
    );
    expect(finals).toHaveLength(1);
    const live = publisher.heard.filter(
      ({ subject, message }) => subject === "echo.frames.r1" && !message.headers?.has("Handler-Replayed"),
    );
    expect(live.map(({ message }) => message.headers?.get("Handler-Sequence"))).toEqual(["1", "2", "3", "4", "5", "6"]);
  });

  test("as an event later: the stored answer and the frames are given again, marked as such", async () => {
    const request = { requestId: "r2", text: "n", frames: 3, stream: true };
    publisher.publish("echo.count", request);
    await publisher.wait("echo.counted.r2");
    const late = await openPublisher(await server.connect(), ["echo.frames.r2", "echo.counted.r2"]);
    late.publish("echo.count", request);
    await late.wait("echo.counted.r2");
    expect(log.begun).toBe(1);
    expect(late.finals("echo.counted.r2")).toMatchObject([{ text: "n1 n2 n3 " }]);
    expect(late.frames("echo.frames.r2").map(({ sequence }) => Number(sequence))).toEqual([1, 2, 3, 4]);
    const answers = late.heard.filter(({ subject }) => subject.startsWith("echo."));
    expect(answers.every(({ message }) => message.headers?.get("Handler-Replayed") === "true")).toBe(true);
  });

  test("a reader of the event way that comes back in the middle sees all frames", async () => {
    const request = { requestId: "r3", text: "n", frames: 20, delayMs: 100, stream: true };
    publisher.publish("echo.count", request);
    await publisher.wait("echo.frames.r3", 8);
    const late = await openPublisher(await server.connect(), ["echo.frames.r3", "echo.counted.r3"]);
    late.publish("echo.count", request);
    await late.wait("echo.counted.r3");
    const sequences = new Set(late.frames("echo.frames.r3").map(({ sequence }) => Number(sequence)));
    expect([...sequences].toSorted((a, b) => a - b)).toEqual(Array.from({ length: 21 }, (_, index) => index + 1));
    expect(log.begun).toBe(1);
  });

  test("by both ways at once: the typed client gets all text, the event reader the final", async () => {
    const request = { requestId: "r4", text: "n", frames: 5, delayMs: 50 };
    const client = createClient(EchoService, nc);
    publisher.publish("echo.count", request);
    let text = "";
    for await (const frame of client.count(request)) text += frame.text;
    expect(text).toBe("n1 n2 n3 n4 n5 ");
    await publisher.wait("echo.counted.r4");
    expect(await client.sum(request)).toMatchObject({ text: "n1 n2 n3 n4 n5 " });
    expect(log.begun).toBe(1);
  });

  test("first on the request subject, then as an event with frames", async () => {
    const request = { requestId: "r5", text: "n", frames: 3, stream: true };
    const client = createClient(EchoService, nc);
    let text = "";
    for await (const frame of client.count(request)) text += frame.text;
    publisher.publish("echo.count", request);
    await publisher.wait("echo.counted.r5", 2); // the stored final was published when it was stored, and again for the event
    expect(
      publisher
        .frames("echo.frames.r5")
        .map((frame) => frame.text)
        .join(""),
    ).toBe(text);
    expect(publisher.frames("echo.frames.r5").at(-1)).toMatchObject({ type: "done", done: true });
    expect(log.begun).toBe(1);
  });

  test("with another content or by another user: already_exists, told to the inbox only", async () => {
    publisher.publish("echo.count", { requestId: "r6", text: "n", frames: 1 });
    await publisher.wait("echo.counted.r6");
    const client = createClient(EchoService, nc);
    await expect(client.sum({ requestId: "r6", text: "other", frames: 1 })).rejects.toMatchObject({
      code: "already_exists",
    });
    await expect(client.sum({ requestId: "r6", text: "n", frames: 1, userId: "eve" })).rejects.toMatchObject({
      code: "already_exists",
    });
    publisher.publish("echo.count", { requestId: "r6", text: "n", frames: 1, userId: "eve" });
    await sleep(1000);
    expect(publisher.finals("echo.counted.r6")).toHaveLength(1);
    expect(log.begun).toBe(1);
  });

  test("a canceled run frees the claim, and a waiting duplicate runs it", async () => {
    const client = createClient(EchoService, nc);
    const request = { requestId: "r7", text: "n", frames: 1, delayMs: 3000 };
    const stop = new AbortController();
    const first = client.sum(request, { signal: stop.signal });
    await sleep(300);
    const second = client.sum(request);
    await sleep(300);
    stop.abort();
    await expect(first).rejects.toMatchObject({ code: "canceled" });
    expect(await second).toMatchObject({ text: "n1 " });
    expect(log.begun).toBe(2);
  });

  test("an error that stands is the answer, and is given again", async () => {
    const client = createClient(EchoService, nc);
    publisher.publish("echo.once", { requestId: "r8", fail: "failed_precondition" });
    await publisher.wait("echo.onced.r8");
    await expect(client.once({ requestId: "r8", fail: "failed_precondition" })).rejects.toMatchObject({
      code: "failed_precondition",
    });
    expect(log.begun).toBe(1);
  });
});
