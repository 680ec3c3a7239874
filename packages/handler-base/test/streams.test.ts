// Streams to a reader that is slow, cancels, or is gone: the generator is paused or aborted, and nobody else notices.
import { setTimeout as sleep } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { createInbox, headers, type NatsConnection } from "@nats-io/nats-core";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createClient, implement, fold, startService, type RunningService } from "../src/index.ts";
import { until } from "./delivery/support.ts";
import { EchoRequestSchema, EchoService } from "./gen/echo/v1/echo_pb.ts";
import { echo } from "./support/echo.ts";
import { echoConfig } from "./support/service.ts";

let server: NatsFixture;
let nc: NatsConnection;
let service: RunningService;
let yielded: number;
let aborted: number;

/** Like the echo service, but Count never ends. */
const endless = () => {
  const rest = echo();
  const count = implement(EchoService, {
    say: () => ({}),
    once: () => ({}),
    async *count(_request, { signal }) {
      signal.addEventListener("abort", () => {
        aborted += 1;
      });
      for (;;) {
        yielded += 1;
        yield { text: "x".repeat(1000) };
        if (yielded % 100 === 0) await sleep(0, undefined, { signal });
      }
    },
    sum: fold(EchoService.method.count, EchoService.method.sum, {
      start: () => ({ add: () => undefined, finish: () => ({}) }),
      replay: () => [],
    }),
  });
  return { ...rest, methods: new Map([...rest.methods, ["count", count.methods.get("count") ?? fail()]]) };
};
const fail = (): never => {
  throw new Error("count is missing");
};

beforeEach(async () => {
  server = await startNats();
  yielded = 0;
  aborted = 0;
  service = await startService(
    { name: "echo", config: echoConfig, services: () => [endless()] },
    { NATS_URL: server.url, HEALTH_PORT: "0", HEALTH_HOST: "127.0.0.1", LOG_LEVEL: "error" },
  );
  nc = await server.connect();
});
afterEach(async () => {
  await service[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

describe("an endless stream", { timeout: 60_000 }, () => {
  test("is paused by a slow reader and aborted when it leaves; other callers are not affected", async () => {
    const client = createClient(EchoService, nc, { window: 16 });
    const other = createClient(EchoService, await server.connect());
    const before = process.memoryUsage().rss;
    let read = 0;
    for await (const frame of client.count({ requestId: "slow" })) {
      read += 1;
      expect(yielded).toBeLessThanOrEqual(read + 16 + 1);
      expect((await other.say({ text: frame.text })).text).toBe(frame.text);
      await sleep(100);
      if (read === 60) break;
    }
    await until(
      () => aborted === 1,
      () => aborted,
      5000,
    );
    const after = yielded;
    await sleep(300);
    expect(yielded).toBe(after);
    expect(process.memoryUsage().rss - before).toBeLessThan(150e6);
  });

  test("is aborted when its caller cancels, and the caller is told at once", async () => {
    const client = createClient(EchoService, nc);
    const stop = new AbortController();
    const reading = (async () => {
      for await (const frame of client.count({ requestId: "cancel" }, { signal: stop.signal }))
        expect(frame.text).not.toBe("");
    })();
    await until(() => yielded > 100);
    stop.abort();
    await expect(reading).rejects.toMatchObject({ code: "canceled" });
    await until(
      () => aborted === 1,
      () => aborted,
      2500,
    );
  });

  test("is aborted when its caller stops giving credits", async () => {
    const out = headers();
    out.set("Handler-Control", "abcdefgh");
    out.set("Handler-Credits", "1000000");
    const request = toBinary(EchoRequestSchema, create(EchoRequestSchema, { requestId: "gone" }));
    nc.publish("echo.v1.EchoService.Count", request, { reply: createInbox(), headers: out });
    await until(() => yielded > 100);
    expect(aborted).toBe(0);
    await until(
      () => aborted === 1,
      () => aborted,
      15_000,
    );
  });

  test("of a bare caller ends with its deadline", async () => {
    const inbox = createInbox();
    const ends: string[] = [];
    nc.subscribe(inbox, {
      callback: (_error, { data, headers: given }) => {
        if (data.length === 0) ends.push(given?.get("Nats-Service-Error-Code") ?? "");
      },
    });
    const out = headers();
    out.set("Handler-Deadline-Ms", "500");
    const request = toBinary(EchoRequestSchema, create(EchoRequestSchema, { requestId: "bare" }));
    nc.publish("echo.v1.EchoService.Count", request, { reply: inbox, headers: out });
    await until(
      () => ends.length === 1,
      () => ends,
      10_000,
    );
    expect(ends).toEqual(["4"]);
    await until(() => aborted === 1);
  });

  test("refuses control headers that make no sense", async () => {
    const answers: string[] = [];
    const inbox = createInbox();
    nc.subscribe(inbox, {
      callback: (_error, { headers: given }) => void answers.push(given?.get("Nats-Service-Error-Code") ?? ""),
    });
    for (const [token, credits] of [
      ["a.b", "5"],
      ["*", "5"],
      [">", "5"],
      ["ok", "0"],
      ["ok", "-1"],
      ["ok", "NaN"],
      ["x".repeat(65), "5"],
    ] as const) {
      const out = headers();
      out.set("Handler-Control", token);
      out.set("Handler-Credits", credits);
      nc.publish("echo.v1.EchoService.Count", new Uint8Array(), { reply: inbox, headers: out });
    }
    await until(
      () => answers.length >= 7 * 2,
      () => answers,
      10_000,
    );
    expect(new Set(answers)).toEqual(new Set(["3"]));
    expect(yielded).toBe(0);
  });
});
