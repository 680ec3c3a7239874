// A call that waited on the durable subject is not given up because its caller cannot be heard for some seconds: a message stands behind it.
import { setTimeout as sleep } from "node:timers/promises";
import { startNats } from "@pipeline/testkit";
import { expect, test } from "vitest";
import { createClient } from "../../src/index.ts";
import { until } from "../delivery/support.ts";
import { EchoService } from "../gen/echo/v1/echo_pb.ts";
import type { EchoLog } from "../support/echo.ts";
import { startEcho } from "../support/service.ts";

test(
  "durable calls outlast a server that is silent for longer than the lease of their credits",
  { timeout: 90_000 },
  async () => {
    await using nats = await startNats();
    await (await startEcho(nats.url)).stop(); // it has provisioned
    const client = createClient(EchoService, await nats.connect());
    const streamed = async () => {
      let text = "";
      for await (const frame of client.count({ requestId: "s", text: "s", frames: 3, delayMs: 2500 }))
        text += frame.text;
      return text;
    };
    const calls = Promise.allSettled([
      client.say({ requestId: "u", text: "u", delayMs: 7000 }).then(({ text, attempt }) => `${text} ${attempt}`),
      client.once({ requestId: "o", text: "o", delayMs: 7000 }).then(({ text, attempt }) => `${text} ${attempt}`),
      streamed(),
    ]);
    const log: EchoLog = { events: [], begun: 0, ended: 0, aborted: 0 };
    await using service = await startEcho(nats.url, { log });
    await until(
      () => log.begun === 3,
      () => log.events,
    );
    nats.pause();
    await sleep(3800); // longer than the lease of credits, shorter than that of claims
    nats.resume();
    expect(await calls).toEqual(["u 1", "o 1", "s1 s2 s3 "].map((value) => ({ status: "fulfilled", value })));
    expect(log.aborted).toBe(0);
    await service.stop();
  },
);
