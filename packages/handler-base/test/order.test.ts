// Requests of one ordering key run one at a time, whatever the number of replicas, in the order of their publishes.
import { setTimeout as sleep } from "node:timers/promises";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunningService } from "../src/index.ts";
import type { EchoLog } from "./support/echo.ts";
import { openPublisher, type Publisher } from "./support/publisher.ts";
import { startEcho } from "./support/service.ts";

let server: NatsFixture;
let publisher: Publisher;
const log: EchoLog = { events: [], begun: 0, ended: 0, aborted: 0 };
const services: RunningService[] = [];

beforeAll(async () => {
  server = await startNats();
  for (let replica = 0; replica < 3; replica += 1) services.push(await startEcho(server.url, { log }));
  publisher = await openPublisher(await server.connect(), ["echo.counted.>"]);
});
afterAll(async () => {
  await Promise.all(services.map((service) => service[Symbol.asyncDispose]()));
  await server[Symbol.asyncDispose]();
});

/** What the handlers did for requests whose id starts so. */
const eventsOf = (prefix: string) => log.events.filter((event) => event.split(" ")[1]?.startsWith(prefix));

describe("requests of one session", { timeout: 120_000 }, () => {
  test("100 pairs, 100 ms apart, the first slower than the second: never at the same time, answered in order", async () => {
    const pairs = Array.from({ length: 100 }, (_, index) => index);
    await Promise.all(
      pairs.map(async (pair) => {
        await sleep(pair * 60);
        const session = { sessionId: `s${pair}`, userId: "u1", text: "n", frames: 1 };
        publisher.publish("echo.count", { ...session, requestId: `pair${pair}-a`, delayMs: 300 });
        await sleep(100);
        publisher.publish("echo.count", { ...session, requestId: `pair${pair}-b`, delayMs: 1 });
        await publisher.wait(`echo.counted.pair${pair}-b`);
      }),
    );
    for (const pair of pairs) {
      const [a, b] = [`pair${pair}-a`, `pair${pair}-b`];
      expect(eventsOf(`pair${pair}-`)).toEqual([`begin ${a}`, `end ${a}`, `begin ${b}`, `end ${b}`]);
      const answers = publisher.heard.map(({ subject }) => subject);
      expect(answers.indexOf(`echo.counted.${a}`)).toBeLessThan(answers.indexOf(`echo.counted.${b}`));
    }
  });

  test("ten in a row keep their order, and other sessions do not wait for them", async () => {
    const ids = Array.from({ length: 10 }, (_, index) => `row${index}`);
    for (const requestId of ids) {
      publisher.publish("echo.count", { requestId, sessionId: "row", text: "n", frames: 1, delayMs: 150 });
      await sleep(60);
    }
    publisher.publish("echo.count", { requestId: "other", sessionId: "other", text: "n", frames: 1 });
    await publisher.wait("echo.counted.other");
    expect(publisher.finals("echo.counted.row9")).toHaveLength(0);
    await publisher.wait("echo.counted.row9");
    expect(eventsOf("row")).toEqual(ids.flatMap((id) => [`begin ${id}`, `end ${id}`]));
  });

  test("the same session name of two users is two sessions", async () => {
    publisher.publish("echo.count", {
      requestId: "mine",
      userId: "u1",
      sessionId: "x",
      text: "n",
      frames: 1,
      delayMs: 2000,
    });
    await sleep(200);
    publisher.publish("echo.count", { requestId: "yours", userId: "u2", sessionId: "x", text: "n", frames: 1 });
    await publisher.wait("echo.counted.yours");
    expect(publisher.finals("echo.counted.mine")).toHaveLength(0);
    await publisher.wait("echo.counted.mine");
  });
});
