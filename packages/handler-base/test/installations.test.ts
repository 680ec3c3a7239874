// Two installations under two prefixes in one account: no message crosses.
import { jetstreamManager } from "@nats-io/jetstream";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createClient, type RunningService } from "../src/index.ts";
import { EchoService } from "./gen/echo/v1/echo_pb.ts";
import type { EchoLog } from "./support/echo.ts";
import { openPublisher } from "./support/publisher.ts";
import { startEcho } from "./support/service.ts";

const installations = ["", "blue", "green"] as const;
let server: NatsFixture;
const services: RunningService[] = [];
const logs = new Map<string, EchoLog>();

beforeAll(async () => {
  server = await startNats();
  for (const name of installations) {
    const log: EchoLog = { events: [], begun: 0, ended: 0, aborted: 0 };
    logs.set(name, log);
    services.push(await startEcho(server.url, { log, env: { INSTALLATION: name } }));
  }
});
afterAll(async () => {
  await Promise.all(services.map((service) => service.stop()));
  await server[Symbol.asyncDispose]();
});

describe("installations in one account", { timeout: 60_000 }, () => {
  test.each(installations)("%j answers its own events and calls only", async (name) => {
    const prefix = name === "" ? "" : `${name}.`;
    const nc = await server.connect();
    const publisher = await openPublisher(nc, ["echo.>", "*.echo.>"]);
    const before = new Map([...logs].map(([key, { begun }]) => [key, begun]));
    const requestId = `i-${name}`;
    publisher.publish(`${prefix}echo.count`, { requestId, text: "n", frames: 2, stream: true });
    await publisher.wait(`${prefix}echo.counted.${requestId}`);
    const client = createClient(EchoService, nc, { installation: name });
    expect((await client.say({ requestId: `c-${name}`, text: "mine" })).text).toBe("mine");
    for (const [key, { begun }] of logs) expect(begun - (before.get(key) ?? 0)).toBe(key === name ? 2 : 0);
    const elsewhere = publisher.heard.filter(
      ({ subject }) => subject.includes("echo.") && !subject.startsWith(prefix === "" ? "echo." : prefix),
    );
    expect(elsewhere.map(({ subject }) => subject)).toEqual([]);
  });

  test("share no stream, consumer or bucket", async () => {
    const jsm = await jetstreamManager(await server.connect());
    const subjects: string[] = [];
    const names: string[] = [];
    for await (const { config } of jsm.streams.list()) {
      names.push(config.name);
      subjects.push(...config.subjects);
    }
    expect(new Set(subjects).size).toBe(subjects.length);
    const own = names.filter((name) => !/(^|_)(blue|green)_/.test(name));
    expect(names.length).toBe(own.length * 3);
  });
});
