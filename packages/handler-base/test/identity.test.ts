// Who is calling, which request it is, and where its answer may go.
import { setTimeout as sleep } from "node:timers/promises";
import { headers, type NatsConnection } from "@nats-io/nats-core";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunningService } from "../src/index.ts";
import type { EchoLog } from "./support/echo.ts";
import { openPublisher, type Publisher } from "./support/publisher.ts";
import { startEcho } from "./support/service.ts";

let server: NatsFixture;
let nc: NatsConnection;
let service: RunningService;
let publisher: Publisher;
const log: EchoLog = { events: [], begun: 0, ended: 0, aborted: 0 };

beforeAll(async () => {
  server = await startNats();
  service = await startEcho(server.url, { log });
  nc = await server.connect();
  publisher = await openPublisher(nc, [">"]);
});
afterAll(async () => {
  await service.stop();
  await server[Symbol.asyncDispose]();
});

const code = (subject: string) =>
  publisher.heard.find((one) => one.subject === subject)?.message.headers?.get("Nats-Service-Error-Code");

describe("the caller", { timeout: 60_000 }, () => {
  test("on a user's subject is that user; another id in the payload is refused and nothing runs", async () => {
    const before = log.begun;
    publisher.publish("echo.user.u1.count", { requestId: "id1", userId: "u2", text: "n", frames: 1 });
    await publisher.wait("echo.counted.id1");
    expect(code("echo.counted.id1")).toBe("7");
    expect(log.begun).toBe(before);
  });

  test("may have the final answer on a subject of its own, and nowhere else", async () => {
    const own = "echo.user.u1.answers.mine";
    publisher.publish("echo.user.u1.count", { requestId: "id2", text: "n", frames: 1, responseSubject: own });
    await publisher.wait(own);
    const before = log.begun;
    const refused = [
      "echo.user.u2.answers.x",
      "echo.user.u1.answers.",
      "echo.user.u1.answers.a b",
      "echo.user.u1.answers.*",
      "echo.user.u1.answers.>",
      "echo.counted.someone-elses",
      "echo.count",
      "echo.frames.id3",
      "$JS.API.STREAM.PURGE.ECHO_REQUESTS",
      "_INBOX.abc",
      "$KV.handler_leases.x",
      "_ctl.x",
    ];
    for (const [index, responseSubject] of refused.entries()) {
      const requestId = `r${index}`;
      publisher.publish("echo.user.u1.count", { requestId, text: "n", frames: 1, responseSubject });
      await publisher.wait(`echo.counted.${requestId}`);
      expect({ responseSubject, code: code(`echo.counted.${requestId}`) }).toEqual({ responseSubject, code: "3" });
    }
    expect(log.begun).toBe(before);
    for (const subject of refused.filter((text) => !/[ *>]$|\.$/.test(text) && text !== "echo.count")) {
      expect(publisher.heard.filter((one) => one.subject === subject)).toEqual([]);
    }
  });

  test("may name a subject that ends in the request's own id", async () => {
    publisher.publish("echo.count", {
      requestId: "id4",
      text: "n",
      frames: 1,
      responseSubject: "echo.counted.web.id4",
    });
    await publisher.wait("echo.counted.web.id4");
  });

  test.each(["a.b", "a b", "*", ">", "a\tb", "x".repeat(300)])(
    "with the request id %j is refused, on the subject with _invalid",
    async (requestId) => {
      const before = publisher.heard.filter(({ subject }) => subject === "echo.counted._invalid").length;
      publisher.publish("echo.count", { requestId, text: "n" });
      await publisher.wait("echo.counted._invalid", before + 1);
      expect(code("echo.counted._invalid")).toBe("3");
    },
  );

  test("without any request id is told on the subject with _invalid that the answer's subject needs one", async () => {
    const before = publisher.heard.filter(({ subject }) => subject === "echo.said._invalid").length;
    publisher.publish("echo.say", { text: "anonymous" });
    await publisher.wait("echo.said._invalid", before + 1);
    expect(publisher.finals("echo.said._invalid").at(-1)?.error?.message).toMatch(/request_id is required/);
  });

  test("takes the id from Nats-Msg-Id where the payload has none", async () => {
    publisher.publish("echo.say", { text: "by header" }, { "Nats-Msg-Id": "from-header" });
    await publisher.wait("echo.said.from-header");
  });

  test("cannot use our private headers on a public subject", async () => {
    publisher.publish(
      "echo.user.u1.count",
      { requestId: "id5", text: "n", frames: 1 },
      {
        "Handler-Original-Subject": "echo.user.u2.count",
        "Handler-Attempt": "99",
        "Handler-Deadline-At": "1",
        "Handler-Origin": "X-1",
        "Handler-Reply-To": "_INBOX.victim.1",
      },
    );
    await publisher.wait("echo.counted.id5");
    expect(code("echo.counted.id5")).toBe("");
    expect(publisher.heard.some(({ subject }) => subject === "_INBOX.victim.1")).toBe(false);
  });

  test("cannot purge, redirect or swallow others' messages by Nats-* headers", async () => {
    const others = await openPublisher(await server.connect(), ["echo.said.>"]);
    for (const evil of [
      { "Nats-Rollup": "all" },
      { "Nats-Rollup": "sub" },
      { "Nats-Schedule": "@at 2020-01-01T00:00:00Z", "Nats-Schedule-Target": "echo.say" },
      { "Nats-TTL": "1s" },
      { "Nats-Expected-Last-Sequence": "0" },
    ]) {
      publisher.publish("echo.say", { requestId: "evil", text: "evil" }, evil);
    }
    publisher.publish("echo.say", { requestId: "eve", text: "eve" }, { "Nats-Msg-Id": "same" });
    await sleep(300);
    others.publish("echo.say", { requestId: "victim", text: "victim" }, { "Nats-Msg-Id": "same" });
    await others.wait("echo.said.victim");
  });

  test("with header names that no client library takes is answered all the same", async () => {
    const out = headers();
    out.set("Content-Type", "text/plain");
    nc.publish("echo.say", new Uint8Array(), { headers: out });
    await sleep(200);
    publisher.publish("echo.say", { requestId: "after", text: "alive" });
    await publisher.wait("echo.said.after");
  });
});
