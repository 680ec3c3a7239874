// Discovery by ADR-32 on a real server: shapes of the three answers, who answers which subject, and true times of calls.
import { setTimeout as sleep } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { createInbox, type NatsConnection } from "@nats-io/nats-core";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bind } from "../src/bind.ts";
import { openDiscovery } from "../src/discovery.ts";
import { createDispatcher } from "../src/dispatch.ts";
import { createClock } from "../src/live-call.ts";
import { createLogger } from "../src/log.ts";
import { installation, names } from "../src/names.ts";
import { openRequestWay } from "../src/ways/request-way.ts";
import { EchoRequestSchema } from "./gen/echo/v1/echo_pb.ts";
import { echo } from "./support/echo.ts";

let server: NatsFixture;
beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server[Symbol.asyncDispose]());

const log = createLogger({ sink: () => undefined });

/** The echo service's request subjects with discovery. */
async function serveEcho(nc: NatsConnection, at: string, id: string) {
  const where = installation(at);
  const service = bind(echo(), where);
  const { queue } = names(where);
  const discovery = await openDiscovery({
    nc,
    name: "echo",
    version: "1.2.3",
    id,
    installation: where,
    services: [service],
    queue,
    log,
  });
  const clock = createClock();
  const dispatcher = createDispatcher({
    middleware: (_call, next) => next(),
    once: undefined,
    ordering: undefined,
    observer: { around: (_call, work) => work(), ended: discovery.ended },
    claimCheck: undefined,
    clock,
    log,
  });
  for (const method of service.methods) {
    openRequestWay(method, { dispatcher, queue, log, nc, names: names(where), clock, claimCheck: undefined });
  }
  await nc.flush();
  return discovery;
}

/** Every answer to a discovery subject within a moment. */
async function ask(nc: NatsConnection, subject: string): Promise<Record<string, unknown>[]> {
  const found: Record<string, unknown>[] = [];
  const inbox = createInbox();
  const subscription = nc.subscribe(inbox, {
    callback: (_error, message) => {
      if (message.headers?.code !== 503) found.push(message.json<Record<string, unknown>>());
    },
  });
  nc.publish(subject, "", { reply: inbox });
  await nc.flush();
  await sleep(200);
  subscription.unsubscribe();
  return found;
}

const request = (text: string, more: { delayMs?: number; fail?: string } = {}) =>
  toBinary(EchoRequestSchema, create(EchoRequestSchema, { requestId: "r", text, ...more }));

test("answers ping, info and stats in the shapes of ADR-32", async () => {
  const nc = await server.connect();
  await using discovery = { ...(await serveEcho(nc, "", "ID1")), [Symbol.asyncDispose]: () => nc.close() };
  const caller = await server.connect();
  const [ping] = await ask(caller, "$SRV.PING.echo.ID1");
  expect(ping).toEqual({
    type: "io.nats.micro.v1.ping_response",
    name: "echo",
    id: "ID1",
    version: "1.2.3",
    metadata: { services: "echo.v1.EchoService@1" },
  });

  const [info] = await ask(caller, "$SRV.INFO.echo.ID1");
  expect(info).toMatchObject({
    type: "io.nats.micro.v1.info_response",
    name: "echo",
    id: "ID1",
    description: "Serves echo.v1.EchoService",
  });
  expect(info?.["endpoints"]).toHaveLength(4);
  expect(info?.["endpoints"]).toContainEqual({
    name: "EchoService-Count",
    subject: "echo.v1.EchoService.Count",
    queue_group: "q",
    metadata: {
      method: "echo.v1.EchoService.Count",
      request: "echo.v1.EchoRequest",
      response: "echo.v1.EchoFrame",
      streaming: "server",
      content_types: "application/x-protobuf,application/json,application/msgpack",
      descriptor: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) as string,
      deadline_ms: "60000",
      events: "echo.count,echo.user.{user_id}.count",
      reply: "echo.counted.{request_id}",
      frames: "echo.frames.{request_id}",
    },
  });

  const [stats] = await ask(caller, "$SRV.STATS.echo.ID1");
  expect(stats).toMatchObject({
    type: "io.nats.micro.v1.stats_response",
    started: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string,
  });
  expect(stats?.["endpoints"]).toContainEqual({
    name: "EchoService-Say",
    subject: "echo.v1.EchoService.Say",
    queue_group: "q",
    num_requests: 0,
    num_errors: 0,
    last_error: "",
    processing_time: 0,
    average_processing_time: 0,
  });
  await discovery.close();
  await discovery.close();
  expect(await ask(caller, "$SRV.PING.echo.ID1")).toEqual([]);
});

test("every instance answers the general subjects, one the subject of its id", async () => {
  const [one, two] = [await server.connect(), await server.connect()];
  await serveEcho(one, "", "A");
  await serveEcho(two, "blue", "B");
  const caller = await server.connect();
  const idsOf = async (subject: string) =>
    (await ask(caller, subject)).map(({ name, id }) => `${String(name)} ${String(id)}`).toSorted();
  for (const verb of ["PING", "INFO", "STATS"]) {
    expect(await idsOf(`$SRV.${verb}`)).toEqual(["blue_echo B", "echo A"]);
    expect(await idsOf(`$SRV.${verb}.blue_echo`)).toEqual(["blue_echo B"]);
    expect(await idsOf(`$SRV.${verb}.echo`)).toEqual(["echo A"]);
    expect(await idsOf(`$SRV.${verb}.echo.A`)).toEqual(["echo A"]);
    expect(await idsOf(`$SRV.${verb}.echo.B`)).toEqual([]);
  }
  await Promise.all([one.close(), two.close()]);
});

test("times a call until its answer is out and tells an error by its code only", async () => {
  const nc = await server.connect();
  await serveEcho(nc, "", "T");
  const caller = await server.connect();
  await caller.request("echo.v1.EchoService.Say", request("hello", { delayMs: 100 }), { timeout: 10_000 });
  await caller.request("echo.v1.EchoService.Say", request("a secret", { fail: "not_found" }), { timeout: 10_000 });
  await caller.request("echo.v1.EchoService.Say", new Uint8Array([1, 2, 3]), { timeout: 10_000 });
  await sleep(20);
  const [stats] = await ask(caller, "$SRV.STATS.echo.T");
  const endpoints = stats?.["endpoints"] as { name: string; average_processing_time: number }[];
  const say = endpoints.find(({ name }) => name === "EchoService-Say");
  expect(say).toMatchObject({ num_requests: 3, num_errors: 2, last_error: "3:invalid_argument" });
  // Three calls, one of which took 100 ms: an average that forgets the asynchronous part would be far below.
  expect(say?.average_processing_time).toBeGreaterThanOrEqual(33e6);
  expect(JSON.stringify(stats)).not.toContain("secret");
  await nc.close();
});

test("refuses names that cannot be tokens of a subject", async () => {
  const nc = await server.connect();
  const where = installation("");
  const base = { nc, version: "1.0.0", installation: where, services: [], queue: "q", log };
  await expect(openDiscovery({ ...base, name: "a.b", id: "x" })).rejects.toThrow(RangeError);
  await expect(openDiscovery({ ...base, name: "a", id: "x*" })).rejects.toThrow(RangeError);
});
