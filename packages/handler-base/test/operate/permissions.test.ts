// The printed permissions, put to the proof: a server that denies everything else.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readContract } from "../../src/contract.ts";
import { createClient, type RunningService } from "../../src/index.ts";
import { installation } from "../../src/names.ts";
import { inboxPrefix, servicePermissions, userPermissions, type Permissions } from "../../src/operate/permissions.ts";
import { provision, requireProvisioned } from "../../src/provision/index.ts";
import { EchoRequestSchema, EchoService } from "../gen/echo/v1/echo_pb.ts";
import { until } from "../delivery/support.ts";
import { startEcho } from "../support/service.ts";

const at = installation("");
const contracts = [readContract(EchoService, at)];

const user = (name: string, permissions?: Permissions) =>
  `{ user: ${name}, password: secret${permissions ? `, permissions: ${JSON.stringify(limits(permissions))}` : ""} }`;
const limits = ({ publish, subscribe }: Permissions) => ({
  publish: { allow: publish },
  subscribe: { allow: subscribe },
});

let folder: string;
let nats: NatsFixture;
let admin: NatsConnection;
let jsm: JetStreamManager;
let service: RunningService;
const login = { NATS_USER: "echo", NATS_PASSWORD: "secret", PROVISION: "bind" };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "permissions-"));
  const users = [
    user("admin"),
    user("echo", servicePermissions(contracts, at)),
    user("u1", userPermissions(contracts, "u1")),
    user("u2", userPermissions(contracts, "u2")),
  ];
  nats = await startNats({
    config: `log_file: ${JSON.stringify(join(folder, "log"))}\nauthorization { users: [${users.join(", ")}] }\n`,
  });
  admin = await nats.connect({ user: "admin", pass: "secret" });
  jsm = await jetstreamManager(admin);
  requireProvisioned(await provision(admin, contracts, at));
  service = await startEcho(nats.url, { env: login });
}, 120_000);

afterAll(async () => {
  await service.stop();
  await nats[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** Lines of the server's log about what somebody was denied. */
async function denied(name: string): Promise<string[]> {
  const log = await readFile(join(folder, "log"), "utf8");
  return log.split("\n").filter((line) => line.includes("Violation") && line.includes(`"${name}"`));
}

const bytes = (request: MessageInitShape<typeof EchoRequestSchema>) =>
  toBinary(EchoRequestSchema, create(EchoRequestSchema, request));

describe("a service with nothing but its permissions", { timeout: 120_000 }, () => {
  test("answers every kind of call on the request subject, large ones included", async () => {
    const client = createClient(EchoService, admin);
    expect((await client.say({ text: "a" })).text).toBe("a");
    expect((await client.once({ requestId: "p1", text: "b" })).text).toBe("b");
    expect((await client.once({ requestId: "p1", text: "b" })).text).toBe("b");
    expect((await client.sum({ requestId: "p2", text: "c", frames: 2, sessionId: "s" })).text).toBe("c1 c2 ");
    const frames = await Array.fromAsync(client.count({ requestId: "p3", text: "d", frames: 3 }), (one) => one.text);
    expect(frames.join("")).toBe("d1 d2 d3 ");
    const data = new Uint8Array(2_000_000).fill(7);
    expect((await client.say({ data })).data).toHaveLength(data.length);
    expect(await denied("echo")).toEqual([]);
  });

  test("answers events with frames, final, errors and dead letters, and retries", async () => {
    const heard = new Map<string, number>();
    const tap = admin.subscribe("echo.>", {
      callback: (_, { subject }) => void heard.set(subject, (heard.get(subject) ?? 0) + 1),
    });
    const ask = (subject: string, request: MessageInitShape<typeof EchoRequestSchema>) =>
      admin.request(subject, bytes(request));
    await ask("echo.say", { requestId: "e1", text: "x" });
    await ask("echo.once", { requestId: "e2", failures: 2 });
    await ask("echo.count", { requestId: "e3", frames: 2, stream: true, sessionId: "s" });
    await ask("echo.once", { requestId: "e4", fail: "not_found" });
    await ask("echo.user.u1.count", { requestId: "e5", frames: 1, responseSubject: "echo.user.u1.answers.deep.e5" });
    const answers = [
      "echo.said.e1",
      "echo.onced.e2",
      "echo.counted.e3",
      "echo.onced.e4",
      "echo.user.u1.answers.deep.e5",
    ];
    await until(
      () => answers.every((subject) => heard.has(subject)),
      () => [...heard],
    );
    // A reader who comes later gets answer and frames again.
    await ask("echo.count", { requestId: "e3", frames: 2, stream: true, sessionId: "s" });
    await until(
      () => heard.get("echo.counted.e3") === 2,
      () => [...heard],
    );
    await until(async () => (await jsm.streams.info("DLQ_ECHO")).state.messages === 1);
    await until(async () => {
      const { num_ack_pending: pending } = await jsm.consumers.info("ECHO_REQUESTS", "echo_EchoService-Once_events");
      return pending === 0;
    });
    tap.unsubscribe(); // it would hide that nobody serves
    expect(await denied("echo")).toEqual([]);
  });

  test("serves a call that waited for it, and stops without leaving anything undone", async () => {
    await service.stop();
    const waiting = createClient(EchoService, admin).say({ text: "later" }, { timeoutMs: 60_000 });
    service = await startEcho(nats.url, { env: login });
    expect((await waiting).text).toBe("later");
    expect(await denied("echo")).toEqual([]);
  });

  test("finds what was delivered too often, answers it and puts it among the dead letters", async () => {
    await service.stop();
    const before = (await jsm.streams.info("DLQ_ECHO")).state.messages;
    const answered = new Promise<string>((resolve) => {
      admin.subscribe("echo.said.crashed", {
        max: 1,
        callback: (_, message) => resolve(message.headers?.get("Nats-Service-Error-Code") ?? ""),
      });
    });
    await admin.request("echo.say", bytes({ requestId: "crashed" }));
    // A replica that takes the message and dies, as often as the contract allows.
    const consumer = await jsm.jetstream().consumers.get("ECHO_REQUESTS", "echo_EchoService-Say_events");
    const { max_deliver: attempts = 0 } = (await consumer.info()).config;
    for (let attempt = 1; attempt <= attempts; attempt += 1) (await consumer.next({ expires: 10_000 }))?.nak();
    await consumer.next({ expires: 1000 }); // the server finds that it was the last one
    service = await startEcho(nats.url, { env: login });
    expect(await answered).toBe("13");
    await until(async () => (await jsm.streams.info("DLQ_ECHO")).state.messages === before + 1);
    expect(await denied("echo")).toEqual([]);
  });

  test("cannot make, purge or delete a stream or consumer, or read another's", async () => {
    const nc = await nats.connect({ user: "echo", pass: "secret" });
    for (const subject of [
      "$JS.API.STREAM.CREATE.MINE",
      "$JS.API.STREAM.UPDATE.ECHO_REQUESTS",
      "$JS.API.STREAM.PURGE.ECHO_REQUESTS",
      "$JS.API.STREAM.DELETE.ECHO_REQUESTS",
      "$JS.API.CONSUMER.CREATE.ECHO_REQUESTS.mine",
      "$JS.API.CONSUMER.DELETE.ECHO_REQUESTS.echo_EchoService-Say_events",
      "$JS.API.STREAM.MSG.DELETE.ECHO_REQUESTS",
      "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.ECHO_REQUESTS.echo_EchoService-Say_events",
      "_retry.echo.EchoService-Say",
      "_durable.echo.v1.EchoService.Say",
      "echo.say",
    ]) {
      await expect(nc.request(subject, "{}", { timeout: 2000 })).rejects.toThrow(
        new RegExp(`permissions violation.*${RegExp.escape(subject)}`, "i"),
      );
    }
  });
});

describe("a user", { timeout: 120_000 }, () => {
  const connect = (name: string) =>
    nats.connect({ user: name, pass: "secret", inboxPrefix: inboxPrefix(name), reconnect: false });

  test("asks in his own name and reads his own answer", async () => {
    const nc = await connect("u1");
    const answer = new Promise<string>((resolve) => {
      nc.subscribe("echo.user.u1.answers.>", { max: 1, callback: (_, { subject }) => resolve(subject) });
    });
    const ack = await nc.request(
      "echo.user.u1.count",
      bytes({ requestId: "mine", frames: 1, responseSubject: "echo.user.u1.answers.mine" }),
      { timeout: 5000 },
    );
    expect(ack.json()).toMatchObject({ stream: "ECHO_REQUESTS" });
    expect(await answer).toBe("echo.user.u1.answers.mine");
    expect(await denied("u1")).toEqual([]);
  });

  test("publishes in nobody else's name, and reaches neither shared subjects, services nor JetStream", async () => {
    const nc = await connect("u1");
    const before = (await jsm.streams.info("ECHO_REQUESTS")).state.last_seq;
    for (const subject of [
      "echo.user.u2.count",
      "echo.count",
      "echo.user.u1.answers.forged",
      "echo.v1.EchoService.Say",
      "_durable.echo.v1.EchoService.Say",
      "_final.key.echo.counted.mine",
      "_retry.echo.EchoService-Say",
      "_later.echo.ECHO_REQUESTS-1",
      "_dlq.echo.EchoService-Say.internal",
      "_ctl.token",
      "echo.counted.mine",
      "echo.frames.mine",
      "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.ECHO_REQUESTS.echo_EchoService-Say_events",
      "$JS.ACK.ECHO_REQUESTS.echo_EchoService-Say_events.1.1.1.1.1",
      "$O.handler_payloads.M.x",
      "$SRV.PING",
      "$KV.handler_leases.x",
      "$JS.API.CONSUMER.CREATE.ECHO_REQUESTS",
      "$JS.API.CONSUMER.CREATE.FINALS_ECHO",
      "$JS.API.STREAM.PURGE.ECHO_REQUESTS",
      "$JS.API.DIRECT.GET.FINALS_ECHO",
    ]) {
      await expect(nc.request(subject, bytes({}), { timeout: 2000 })).rejects.toThrow(
        new RegExp(`permissions violation.*${RegExp.escape(subject)}`, "i"),
      );
    }
    expect((await jsm.streams.info("ECHO_REQUESTS")).state.last_seq).toBe(before);
  });

  test("hears nothing of others", async () => {
    const nc = await connect("u2");
    const errors: string[] = [];
    const heard: string[] = [];
    const subjects = [
      "echo.user.u1.answers.>",
      "echo.user.*.answers.>",
      "echo.counted.>",
      "echo.frames.>",
      "_INBOX.>",
      ">",
    ];
    for (const subject of [...subjects, `${inboxPrefix("u1")}.>`]) {
      nc.subscribe(subject, {
        callback: (error, message) => void (error ? errors.push(subject) : heard.push(message.subject)),
      });
    }
    await until(
      () => errors.length === subjects.length + 1,
      () => errors,
    );
    const published = new Promise<void>((resolve) => {
      admin.subscribe("echo.user.u1.answers.private", { max: 1, callback: () => resolve() });
    });
    await admin.request(
      "echo.user.u1.count",
      bytes({ requestId: "private", frames: 1, stream: true, responseSubject: "echo.user.u1.answers.private" }),
    );
    await published;
    await nc.flush();
    expect(heard).toEqual([]);
  });

  test("with an id that is no token gets no permissions", () => {
    for (const id of ["", "*", "u1.>", "a b"]) expect(() => userPermissions(contracts, id)).toThrow("one token");
  });
});
