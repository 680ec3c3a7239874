// Provisioning against a real server: idempotent, tells drift, refuses contradictions and going backwards, adopts, binds.
import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import { nanos, type NatsConnection } from "@nats-io/nats-core";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readContract } from "../../src/contract.ts";
import { installation } from "../../src/names.ts";
import { provision, reportLines, requireProvisioned, type Report } from "../../src/provision/index.ts";
import { EchoService } from "../gen/echo/v1/echo_pb.ts";

const at = installation("");
const contract = readContract(EchoService, at);
let server: NatsFixture;
let nc: NatsConnection;
let jsm: JetStreamManager;

beforeEach(async () => {
  server = await startNats();
  nc = await server.connect();
  jsm = await jetstreamManager(nc);
});
afterEach(() => server[Symbol.asyncDispose]());

const actions = (report: Report) => new Set(report.entries.map(({ action }) => action));
const entry = (report: Report, name: string) => report.entries.find((one) => one.name === name);
const say = "ECHO_REQUESTS/echo_EchoService-Say_events";

describe("provisioning", { timeout: 30_000 }, () => {
  test("makes everything once, and finds it as it should be the next time", async () => {
    const first = await provision(nc, [contract], at);
    expect(actions(first)).toEqual(new Set(["created"]));
    const second = await provision(nc, [contract], at);
    expect(actions(second)).toEqual(new Set(["ok"]));
    expect(reportLines(second)).toEqual([]);
    const { config } = await jsm.consumers.info("ECHO_REQUESTS", "echo_EchoService-Say_events");
    expect(config.inactive_threshold ?? 0).toBe(0);
    expect(config.max_ack_pending).toBe(640);
    const ingress = (await jsm.streams.info("ECHO_REQUESTS")).config;
    expect(ingress.allow_rollup_hdrs).toBe(false);
    expect(ingress.allow_msg_schedules ?? false).toBe(false);
    expect(ingress.duplicate_window).toBe(nanos(100));
    expect(ingress.num_replicas).toBe(1);
  });

  test("two at once end with the same state", async () => {
    const reports = await Promise.all([1, 2, 3].map(async () => provision(await server.connect(), [contract], at)));
    for (const report of reports)
      expect({ ok: report.ok, lines: reportLines(report).filter((line) => line.startsWith("conflict")) }).toEqual({
        ok: true,
        lines: [],
      });
    expect(actions(await provision(nc, [contract], at))).toEqual(new Set(["ok"]));
  });

  test("check tells what apply would do, and changes nothing", async () => {
    const checked = await provision(nc, [contract], at, { mode: "check" });
    expect(actions(checked)).toEqual(new Set(["drift"]));
    expect([...(await jsm.streams.names().next())]).toEqual([]);
  });

  test("mends what has drifted", async () => {
    await provision(nc, [contract], at);
    await jsm.consumers.update("ECHO_REQUESTS", "echo_EchoService-Say_events", {
      ack_wait: nanos(90_000),
      max_ack_pending: 3,
    });
    await jsm.streams.update("ECHO_FRAMES", { max_age: nanos(60_000), duplicate_window: nanos(60_000) });
    const checked = await provision(nc, [contract], at, { mode: "check" });
    expect(entry(checked, say)?.details.join(" ")).toMatch(
      /ack_wait is 90s, the contract says 2s.*max_ack_pending is 3/,
    );
    expect(entry(checked, "ECHO_FRAMES")?.details.join(" ")).toMatch(/max_age is 1m, the contract says 5m/);
    const applied = await provision(nc, [contract], at);
    expect([entry(applied, say)?.action, entry(applied, "ECHO_FRAMES")?.action]).toEqual(["updated", "updated"]);
    expect(actions(await provision(nc, [contract], at))).toEqual(new Set(["ok"]));
  });

  test("bind changes nothing: it takes what fits and refuses what does not", async () => {
    const absent = await provision(nc, [contract], at, { mode: "bind" });
    expect(absent.ok).toBe(false);
    expect(() => requireProvisioned(absent)).toThrow(/ECHO_REQUESTS/);
    await provision(nc, [contract], at);
    await jsm.streams.update("ECHO_FRAMES", { max_age: nanos(60_000), duplicate_window: nanos(60_000) });
    const bound = await provision(nc, [contract], at, { mode: "bind" });
    expect(bound.ok).toBe(true);
    expect((await jsm.streams.info("ECHO_FRAMES")).config.max_age).toBe(nanos(60_000));
  });

  test("does not go backwards: a program with an older contract leaves a newer one alone", async () => {
    await provision(nc, [{ ...contract, version: 7 }], at);
    const older = await provision(nc, [contract], at);
    expect(older.ok).toBe(false);
    expect(reportLines(older).join("\n")).toMatch(/ECHO_REQUESTS.*1\.7/);
    expect(actions(await provision(nc, [{ ...contract, version: 7 }], at))).toEqual(new Set(["ok"]));
  });

  test("adopts a stream of somebody else's that captures the subjects, as it is, from new messages on", async () => {
    await jsm.streams.add({
      name: "THEIRS",
      subjects: ["echo.say", "echo.once", "echo.count", "echo.user.*.count", "other.>"],
      max_age: nanos(2_592_000_000),
      storage: "file",
    });
    await jsm.jetstream().publish("echo.say", "old");
    const report = await provision(nc, [contract], at);
    expect(report.ok).toBe(true);
    expect(report.adopted.get("ECHO_REQUESTS")).toBe("THEIRS");
    expect((await jsm.streams.info("THEIRS")).config.max_age).toBe(nanos(2_592_000_000));
    const consumer = await jsm.consumers.info("THEIRS", "echo_EchoService-Say_events");
    expect(consumer.num_pending).toBe(0);
    expect(actions(await provision(nc, [contract], at))).not.toContain("created");
  });

  test("refuses a stream that captures only some of the subjects, and says which", async () => {
    await jsm.streams.add({ name: "PART", subjects: ["echo.say"], storage: "file" });
    const report = await provision(nc, [contract], at);
    expect(report.ok).toBe(false);
    expect(reportLines(report).join("\n")).toMatch(/conflict: stream ECHO_REQUESTS: .*overlap.*PART \(echo\.say\)/);
    expect(await jsm.streams.names().next()).toEqual(["PART"]); // nothing was half made
  });

  test("refuses request subjects that a stream captures", async () => {
    await jsm.streams.add({ name: "ALL", subjects: ["echo.v1.>"], storage: "file" });
    const report = await provision(nc, [contract], at);
    expect(report.ok).toBe(false);
    expect(reportLines(report).join("\n")).toMatch(/echo\.v1\.EchoService\.Say: is captured by stream ALL/);
  });

  test("refuses an environment that contradicts itself", async () => {
    const method = "echo.v1.EchoService.Say";
    await expect(
      provision(nc, [contract], at, {
        environment: { maxReplicas: 4, methods: { [method]: { concurrency: 8, maxAckPending: 10 } } },
      }),
    ).rejects.toThrow(/max_ack_pending 10 is below 32 slots/);
    await expect(
      provision(nc, [contract], at, { environment: { methods: { [method]: { ackWaitMs: 10 } } } }),
    ).rejects.toThrow(/leaves no time for heartbeats/);
    await expect(provision(nc, [contract], at, { environment: { methods: { "echo.v1.Typo": {} } } })).rejects.toThrow(
      /unknown method echo\.v1\.Typo/,
    );
    expect([...(await jsm.streams.names().next())]).toEqual([]);
  });

  test("takes an inherited inactive threshold off: it would delete the consumers of a service at zero replicas", async () => {
    await provision(nc, [contract], at);
    await jsm.streams.update("ECHO_REQUESTS", {
      consumer_limits: { inactive_threshold: nanos(60_000), max_ack_pending: 1000 },
    });
    const report = await provision(nc, [contract], at);
    expect(entry(report, "ECHO_REQUESTS")?.action).toBe("updated");
    expect((await jsm.streams.info("ECHO_REQUESTS")).config.consumer_limits?.inactive_threshold ?? 0).toBe(0);
  });

  test("tells a server without JetStream", async () => {
    await using bare = await startNats({
      config: 'accounts { A: { users: [{user: "a", password: "a"}] } }\nno_auth_user: "a"\n',
    });
    await expect(provision(await bare.connect(), [contract], at)).rejects.toThrow(/jetstream/i);
  });
});
