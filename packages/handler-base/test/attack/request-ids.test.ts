// Somebody else's request id: whatever is published under it, the first one gets its own answer and nothing else.
import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/nats-core";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunningService } from "../../src/index.ts";
import { until } from "../delivery/support.ts";
import type { EchoLog } from "../support/echo.ts";
import { openPublisher, type Publisher } from "../support/publisher.ts";
import { startEcho } from "../support/service.ts";

let server: NatsFixture;
let nc: NatsConnection;
let service: RunningService;
let publisher: Publisher;
const log: EchoLog = { events: [], begun: 0, ended: 0, aborted: 0 };

beforeAll(async () => {
  server = await startNats();
  service = await startEcho(server.url, { log });
  nc = await server.connect();
  publisher = await openPublisher(nc, ["echo.>", "_dlq.>"]);
});
afterAll(async () => {
  await service.stop();
  await server[Symbol.asyncDispose]();
});

const letters = () => publisher.heard.filter(({ subject }) => subject.startsWith("_dlq.")).length;

/** What u2 publishes under the id; none of it is what u1 asked. */
const attacks: readonly (readonly [what: string, fields: object, given?: Record<string, string>])[] = [
  ["an invalid request", { frames: -1 }],
  ["u1's name in it", { userId: "u1", frames: 1 }],
  ["a response subject of u1's", { frames: 1, responseSubject: "echo.user.u1.answers.x" }],
  ["the subject of u1's answer", { frames: 1, responseSubject: "echo.counted.$ID" }],
  ["a deadline that has passed", { frames: 1 }, { "Handler-Deadline-Ms": "0.001" }],
  ...[1, 2, 3, 5, 8, 12, 20, 40].map(
    (ms) => [`a deadline of ${ms} ms`, { frames: 1 }, { "Handler-Deadline-Ms": String(ms) }] as const,
  ),
  ["a content type that nobody knows", { frames: 1 }, { "Content-Type": "text/html" }],
  ["a claim check that names nothing", { frames: 1 }, { "Handler-Claim-Check": "nothing" }],
  ["another question", { frames: 1, text: "mine" }],
];

describe("a request whose id another user takes as well", { timeout: 60_000 }, () => {
  test.each([
    ["while it runs", 1500],
    ["after it was answered", 0],
  ])("%s is answered once, with its own answer", async (when, delayMs) => {
    const id = `victim-${delayMs}`;
    const before = letters();
    publisher.publish("echo.user.u1.count", { requestId: id, text: "v", frames: 1, delayMs, stream: true });
    if (delayMs === 0) await publisher.wait(`echo.counted.${id}`);
    else await until(() => log.events.includes(`begin ${id}`));
    for (const [, fields, given] of attacks) {
      const text = JSON.stringify(fields).replaceAll("$ID", id);
      publisher.publish("echo.user.u2.count", { requestId: id, stream: true, ...JSON.parse(text) }, given);
    }
    await until(
      () => letters() - before >= attacks.length,
      () => [when, letters() - before],
    );
    await publisher.wait(`echo.counted.${id}`);
    await sleep(300);
    expect(publisher.finals(`echo.counted.${id}`).map(({ text, error }) => [text, error?.type])).toEqual([
      ["v1 ", undefined],
    ]);
    expect(publisher.frames(`echo.frames.${id}`).filter(({ error }) => error !== undefined)).toEqual([]);
  });

  test("before it was asked keeps nothing of the refused ones", async () => {
    const before = letters();
    for (const [, fields, given] of attacks.slice(0, 4)) {
      publisher.publish("echo.user.u2.count", { requestId: "later", ...fields }, given);
    }
    await until(() => letters() - before >= 4);
    publisher.publish("echo.user.u1.count", { requestId: "later", text: "v", frames: 1 });
    await until(() => publisher.finals("echo.counted.later").some(({ text }) => text === "v1 "));
  });
});

describe("the same request", { timeout: 60_000 }, () => {
  test("500 times at once, both ways, runs once and is answered to all who are not told to come again", async () => {
    const request = { requestId: "hammered", text: "h", frames: 2, delayMs: 200, sessionId: "s" };
    const inboxes = Array.from({ length: 250 }, () => {
      publisher.publish("echo.count", request);
      return publisher.publish("echo.v1.EchoService.Sum", request);
    });
    await Promise.all(inboxes.map((inbox) => publisher.wait(inbox)));
    await publisher.wait("echo.counted.hammered");
    expect(log.events.filter((event) => event === "begin hammered")).toHaveLength(1);
    const said = new Set(
      inboxes.flatMap((inbox) => publisher.finals(inbox)).map((one) => one.error?.message ?? one.text),
    );
    expect([...said].toSorted()).toEqual(["all slots of this service are taken", "h1 h2 "]);
  });

  test("with an id in another form of Unicode is another request", async () => {
    for (const id of ["caf\u00e9", "cafe\u0301"]) {
      publisher.publish("echo.once", { requestId: id, text: id.normalize("NFC") });
      await publisher.wait(`echo.onced.${id}`);
    }
    expect(log.events.filter((event) => event.startsWith("begin caf"))).toHaveLength(2);
  });

  test.each(["$x", "-", "_", "a/b", "a\\b", "a'b\"", "%00", "🙂", "a:b", "#", "x".repeat(128)])(
    "with the odd id %s and a session of that name is answered",
    async (id) => {
      publisher.publish("echo.count", { requestId: id, text: "o", frames: 1, sessionId: `${id}.* >\n` });
      await publisher.wait(`echo.counted.${id}`);
      expect(publisher.finals(`echo.counted.${id}`)[0]?.text).toBe("o1 ");
    },
  );
});

test("1000 sessions at once are all answered, each in its order", async () => {
  for (let turn = 1; turn <= 2; turn += 1) {
    for (let session = 0; session < 500; session += 1) {
      publisher.publish("echo.count", { requestId: `t${session}-${turn}`, frames: 1, sessionId: `session ${session}` });
    }
  }
  await until(
    () => log.events.filter((event) => event.startsWith("end t")).length >= 1000,
    () => log.events.length,
  );
  for (let session = 0; session < 500; session += 1) {
    expect(log.events.indexOf(`end t${session}-1`)).toBeLessThan(log.events.indexOf(`begin t${session}-2`));
  }
}, 60_000);
