// What calls leave behind when they are over, whatever their end: nothing on the server, nothing in the process.
import { setTimeout as sleep } from "node:timers/promises";
import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import { createInbox, headers, type NatsConnection } from "@nats-io/nats-core";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createClient, type Client, type RunningService } from "../../src/index.ts";
import { until } from "../delivery/support.ts";
import { EchoRequestSchema, EchoService } from "../gen/echo/v1/echo_pb.ts";
import { openPublisher, type Publisher } from "../support/publisher.ts";
import { startEcho } from "../support/service.ts";
import { connections } from "./raw.ts";

let server: NatsFixture;
let nc: NatsConnection;
let jsm: JetStreamManager;
let service: RunningService;
let publisher: Publisher;
let client: Client<typeof EchoService>;

beforeAll(async () => {
  server = await startNats();
  service = await startEcho(server.url);
  nc = await server.connect();
  jsm = await jetstreamManager(nc);
  publisher = await openPublisher(nc, ["echo.>"]);
  client = createClient(EchoService, nc, { window: 4 });
});
afterAll(async () => {
  await service.stop();
  await server[Symbol.asyncDispose]();
});

/** Subscriptions of the service's connection. */
async function subscriptions(): Promise<number> {
  return (await connections(server)).find(({ name }) => name === "echo")?.subscriptions ?? -1;
}

/** Keys of the lease bucket that somebody still holds. */
async function held(): Promise<string[]> {
  const { state } = await jsm.streams.info("KV_handler_leases", { subjects_filter: ">" });
  const keys: string[] = [];
  for (const subject of Object.keys(state.subjects ?? {})) {
    const message = await jsm.streams.getMessage("KV_handler_leases", { last_by_subj: subject });
    if (message && !message.header.has("KV-Operation") && !message.header.has("Nats-Marker-Reason")) keys.push(subject);
  }
  return keys;
}

const quietly = (call: Promise<unknown>): Promise<unknown> => call.catch(() => undefined);
const aborted = (afterMs: number) => ({ signal: AbortSignal.timeout(afterMs) });

const kinds: Readonly<Record<string, (number: number) => Promise<unknown>>> = {
  answered: (number) => client.say({ text: `${number}` }),
  "answered once": (number) => client.once({ requestId: `a${number}` }),
  streamed: (number) => Array.fromAsync(client.count({ requestId: `s${number}`, frames: 3, sessionId: "s" })),
  folded: (number) => client.sum({ requestId: `f${number}`, frames: 3 }),
  failed: (number) => quietly(client.once({ requestId: `x${number}`, fail: "not_found" })),
  invalid: () => quietly(client.say({ frames: -1 })),
  canceled: (number) => quietly(client.once({ requestId: `c${number}`, delayMs: 5000 }, aborted(number % 200))),
  "canceled stream": (number) =>
    quietly(
      Array.fromAsync(
        client.count({ requestId: `d${number}`, delayMs: 50, frames: 1000 }, aborted(60 + (number % 100))),
      ),
    ),
  "timed out": (number) => quietly(client.once({ requestId: `t${number}`, delayMs: 5000 }, { timeoutMs: 50 })),
  "left early": async (number) => {
    for await (const frame of client.count({ requestId: `l${number}`, frames: 1000 }))
      if (frame.sequence === 2n) return;
  },
  "control headers that make no sense": async (number) => {
    const out = headers();
    out.set("Handler-Control", number % 2 === 0 ? "a.b" : "x".repeat(65));
    out.set("Handler-Credits", ["-1", "0", "1e9", "NaN", "abc"][number % 5] ?? "");
    const data = toBinary(EchoRequestSchema, create(EchoRequestSchema, { frames: 2 }));
    const inbox = createInbox("_INBOX.test");
    nc.publish("echo.v1.EchoService.Count", data, { reply: inbox, headers: out });
    await publisher.wait(inbox);
  },
  events: async (number) => {
    publisher.publish("echo.count", { requestId: `e${number}`, frames: 2, stream: true, sessionId: `${number % 7}` });
    await publisher.wait(`echo.counted.e${number}`);
  },
};

describe("calls leave nothing behind", { timeout: 60_000 }, () => {
  test.each(Object.entries(kinds))("that were %s", async (_kind, call) => {
    const before = await subscriptions();
    for (let round = 0; round < 10; round += 1) {
      await Promise.all(Array.from({ length: 10 }, (_, index) => call(round * 10 + index)));
    }
    await until(
      async () => (await subscriptions()) <= before && (await held()).length === 0,
      async () => [before, await subscriptions(), await held()],
      15_000,
    );
    const load: unknown = await (await fetch(`${service.healthUrl}/load`)).json();
    expect(load).toMatchObject({ in_flight: 0, queued: 0 });
  });
});

const bytes = (request: MessageInitShape<typeof EchoRequestSchema>) =>
  toBinary(EchoRequestSchema, create(EchoRequestSchema, request));

describe("a call that came by the durable subject", { timeout: 60_000 }, () => {
  test("and loses its claim is told nothing more by the replica that lost it, and holds nothing there", async () => {
    const before = await subscriptions();
    const inbox = createInbox("_INBOX.test");
    const given = headers();
    given.set("Handler-Reply-To", inbox);
    given.set("Handler-Control", "lost");
    given.set("Handler-Credits", "1000");
    const beat = setInterval(() => nc.publish("_ctl.lost", "credits 1000"), 500);
    nc.publish("_durable.echo.v1.EchoService.Count", bytes({ requestId: "lost", frames: 20, delayMs: 100 }), {
      headers: given,
    });
    await publisher.wait(inbox);
    const [claim = ""] = (await held()).filter((key) => key.includes(".claim."));
    const gone = headers();
    gone.set("KV-Operation", "DEL");
    nc.publish(claim, new Uint8Array(), { headers: gone });
    const ended = () =>
      publisher.heard.some(
        ({ subject, message }) => subject === inbox && message.headers?.get("Handler-Status") === "ok",
      );
    await until(ended);
    clearInterval(beat);
    await sleep(200);
    const heard = publisher.heard.length;
    await sleep(2500);
    expect(publisher.heard.slice(heard).filter(({ subject }) => subject === inbox)).toEqual([]);
    await until(async () => (await subscriptions()) <= before);
  });
});

describe("control messages", { timeout: 60_000 }, () => {
  test("that are floods, lies and nonsense change nothing but what they may", async () => {
    const inbox = createInbox("_INBOX.test");
    const given = headers();
    given.set("Handler-Control", "flood");
    given.set("Handler-Credits", "2");
    nc.publish("echo.v1.EchoService.Count", bytes({ frames: 50, text: "n" }), { reply: inbox, headers: given });
    await publisher.wait(inbox, 2);
    const nonsense = [
      "credits -1",
      "credits 1e9",
      "credits 0",
      "credits 1",
      "credits  9",
      "CANCEL",
      "cancel ",
      "",
      "\0",
    ];
    for (let round = 0; round < 2000; round += 1) nc.publish("_ctl.flood", nonsense[round % nonsense.length]);
    nc.publish("_ctl.flood", `credits 9${"9".repeat(20)}`);
    nc.publish("_ctl.other", "cancel");
    await nc.flush();
    await sleep(300);
    expect(publisher.frames(inbox)).toHaveLength(2);
    nc.publish("_ctl.flood", "credits 999999999");
    await until(() => publisher.frames(inbox).length === 51); // with the typed end
  });
});
