// The typed client: durable fallback, large payloads, deadlines, a service that dies or is full.
import { setTimeout as sleep } from "node:timers/promises";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createClient, type RunningService } from "../src/index.ts";
import { until } from "./delivery/support.ts";
import { EchoService } from "./gen/echo/v1/echo_pb.ts";
import type { EchoLog } from "./support/echo.ts";
import { startEcho } from "./support/service.ts";

let server: NatsFixture;
let nc: NatsConnection;
let log: EchoLog;
const services: RunningService[] = [];

beforeEach(async () => {
  server = await startNats();
  nc = await server.connect();
  log = { events: [], begun: 0, ended: 0, aborted: 0 };
});
afterEach(async () => {
  await Promise.all(services.splice(0).map((service) => service.stop()));
  await server[Symbol.asyncDispose]();
});

const start = async (env: Record<string, string> = {}) => {
  const service = await startEcho(server.url, { log, env });
  services.push(service);
  return service;
};

describe("a call", { timeout: 60_000 }, () => {
  test("that finds no replica waits on the durable subject and is answered by the first that starts", async () => {
    const first = await start();
    await first.stop(); // it has provisioned
    const client = createClient(EchoService, nc);
    const unary = client.say({ requestId: "w1", text: "patience" }, { timeoutMs: 20_000 });
    const streamed = (async () => {
      let text = "";
      for await (const frame of client.count({ requestId: "w2", text: "n", frames: 3 }, { timeoutMs: 20_000 }))
        text += frame.text;
      return text;
    })();
    await sleep(500);
    await start();
    expect((await unary).text).toBe("patience");
    expect(await streamed).toBe("n1 n2 n3 ");
    expect(log.begun).toBe(2);
  });

  test("that finds neither replica nor stream fails at once with unavailable", async () => {
    const client = createClient(EchoService, nc);
    await expect(client.say({ text: "nobody" })).rejects.toMatchObject({ code: "unavailable" });
    const direct = createClient(EchoService, nc, { durable: false });
    await expect(direct.say({ text: "nobody" })).rejects.toMatchObject({ code: "unavailable" });
  });

  test("carries payloads over the server's limit both ways", async () => {
    await start();
    const client = createClient(EchoService, nc);
    const data = new Uint8Array(3_000_000).map((_, index) => index % 251);
    const answer = await client.say({ requestId: "big", data });
    expect(Buffer.compare(answer.data, data)).toBe(0);
  });

  test("carries a large payload on the durable subject", async () => {
    const first = await start();
    await first.stop();
    const client = createClient(EchoService, nc);
    const data = new Uint8Array(2_000_000).fill(7);
    const pending = client.once({ requestId: "bigdurable", text: "b", data }, { timeoutMs: 20_000 });
    await sleep(300);
    await start();
    expect((await pending).text).toBe("b");
  });

  test("that is canceled on the durable subject ends the work and leaves no dead letter", async () => {
    const first = await start();
    await first.stop();
    const leaving = new AbortController();
    const pending = createClient(EchoService, nc).say({ delayMs: 30_000 }, { signal: leaving.signal });
    const outcome = pending.catch((reason: unknown) => reason);
    await start();
    await until(() => log.begun === 1);
    leaving.abort();
    expect(await outcome).toMatchObject({ code: "canceled" });
    await until(() => log.aborted === 1);
    const { streams } = await jetstreamManager(nc);
    const left = async (stream: string) => (await streams.info(stream)).state.messages;
    await until(
      async () => (await left("INTERACTIVE_ECHO")) === 0,
      () => log,
      10_000,
    );
    expect(await left("DLQ_ECHO")).toBe(0);
  });

  test("ends with its deadline, and the handler's signal aborts", async () => {
    await start();
    const client = createClient(EchoService, nc);
    await expect(client.say({ delayMs: 10_000 }, { timeoutMs: 300 })).rejects.toMatchObject({
      code: "deadline_exceeded",
    });
    await until(
      () => log.aborted === 1,
      () => log,
      5000,
    );
  });

  test("that was aborted before it began sends nothing", async () => {
    await start();
    const client = createClient(EchoService, nc);
    await expect(client.say({ text: "no" }, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "canceled",
    });
    expect(log.begun).toBe(0);
  });

  test("beyond slots and queue is refused at once with a time to wait, and the rest is answered", async () => {
    await start({ CONCURRENCY: "2" });
    const client = createClient(EchoService, nc);
    const calls = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) => client.say({ text: String(index), delayMs: 200 })),
    );
    const refused = calls.filter((call) => call.status === "rejected").map(({ reason }) => reason as unknown);
    expect(refused).toHaveLength(14); // 2 run, 4 wait
    for (const reason of refused) expect(reason).toMatchObject({ code: "resource_exhausted", retryAfterMs: 1000 });
    expect(log.ended).toBe(6);
  });

  test("keeps an idle unary call alive beyond the lease", async () => {
    await start();
    const client = createClient(EchoService, nc);
    expect((await client.say({ text: "slow", delayMs: 6000 })).text).toBe("slow");
  });

  test("that waits for a slot is kept alive as well", async () => {
    await start({ CONCURRENCY: "1" });
    const client = createClient(EchoService, nc);
    const first = client.say({ text: "first", delayMs: 6000 });
    await until(() => log.begun === 1);
    expect((await client.say({ text: "second" })).text).toBe("second");
    expect((await first).text).toBe("first");
  });

  test("is told within seconds when the service is cut off", async () => {
    await start();
    const client = createClient(EchoService, nc);
    const pending = client.say({ text: "cut", delayMs: 30_000 });
    const outcome = pending.then(
      () => "answered",
      (reason: unknown) => reason,
    );
    await until(() => log.begun === 1);
    server.pause();
    try {
      expect(await outcome).toMatchObject({ code: "unavailable" });
    } finally {
      server.resume();
    }
  });
});
