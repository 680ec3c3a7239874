// The bundle of a service as it is shipped: built, started with plain node in a process of its own, called, stopped.
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { createClient } from "../src/index.ts";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EchoService } from "./gen/echo/v1/echo_pb.ts";
import { startCollector } from "./telemetry/collector.ts";

const root = join(import.meta.dirname, "../../..");
const run = promisify(execFile);
let nats: NatsFixture;
let folder: string;

const bundle = (service: string, into: string) =>
  run(
    process.execPath,
    [join(root, "node_modules/rolldown/bin/cli.mjs"), "-c", join(root, "rolldown.config.ts"), "-d", into],
    { cwd: join(root, service) },
  );

beforeAll(async () => {
  nats = await startNats();
  folder = await mkdtemp(join(tmpdir(), "bundle-"));
  await bundle("bench/echo", join(folder, "dist"));
  await run(process.execPath, [join(root, "tools/bundle/bake.ts"), folder]);
}, 120_000);

afterAll(async () => {
  await nats[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

interface Started extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly health: string;
  readonly lines: string[];
  readonly ended: Promise<[number | null, NodeJS.Signals | null]>;
}

/** Starts `dist/FILE` and resolves when it says that it is ready. */
async function start(
  file: string,
  { flags = [], env = {} }: { flags?: readonly string[]; env?: Readonly<Record<string, string>> } = {},
): Promise<Started> {
  const child = spawn(process.execPath, [...flags, join(folder, "dist", file)], {
    env: { NATS_URL: nats.url, HEALTH_HOST: "127.0.0.1", HEALTH_PORT: "0", ...env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
  const lines: string[] = [];
  const health = await new Promise<string>((resolve, reject) => {
    createInterface(child.stderr).on("line", (line) => {
      lines.push(line);
      const found = /"health":"(http:[^"]+)"/.exec(line)?.[1];
      if (found !== undefined) resolve(found);
    });
    void ended.then(() => reject(new Error(`the bundle ended before it was ready:\n${lines.join("\n")}`)));
  });
  return {
    child,
    health,
    lines,
    ended,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

const client = async () => createClient(EchoService, await nats.connect());

test.each(["main.cjs", "service.cjs"])("%s is ready, answers, and leaves with 0", async (file) => {
  await using service = await start(file);
  const ready = await fetch(`${service.health}/readyz`);
  expect([ready.status, await ready.text()]).toEqual([200, expect.stringContaining("ok")]);

  const call = await client();
  expect((await call.say({ text: "hello" })).text).toBe("hello");
  const frames: string[] = [];
  for await (const { text } of call.count({ text: "n", frames: 3 })) frames.push(text);
  expect(frames.join("").trim()).toBe("n1 n2 n3");
  await expect(call.say({ frames: -1 })).rejects.toMatchObject({ code: "invalid_argument" });

  service.child.kill("SIGTERM");
  expect(await service.ended).toEqual([0, null]);
  expect(service.lines.filter((line) => /Warning|"level":"(warn|error)"/.test(line))).toEqual([]);
});

test("what is imported lazily stands in files of its own", async () => {
  const chunks = (await readdir(join(folder, "dist", "chunks"))).filter((name) => name.endsWith(".cjs"));
  expect(chunks).toContain("message-pack.cjs");
  expect(chunks.some((name) => name.includes("protovalidate"))).toBe(true);
  for (const name of ["main.cjs", "service.cjs"]) expect(existsSync(join(folder, "dist", name))).toBe(true);
  expect(existsSync(join(folder, "dist", "service.cjs.map"))).toBe(true);
});

test("code caches that belong to another Node are passed over with a warning", async () => {
  await using service = await start("main.cjs", { flags: ["--stack-size=900"] });
  expect(service.lines.join("\n")).toMatch(/cache is of another Node/);
  expect((await (await client()).say({ text: "slower" })).text).toBe("slower");
});

test("sends traces, metrics and logs, as from source", async () => {
  await using collector = await startCollector();
  await using service = await start("main.cjs", { env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } });
  const call = await client();
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const end = performance.now() + 60_000;
  while (collector.spans.length === 0 && performance.now() < end) {
    await call.say({ text: "secret" }, { headers: { traceparent } });
    await sleep(50);
  }
  service.child.kill("SIGTERM");
  expect(await service.ended).toEqual([0, null]);
  expect(collector.spans[0]).toMatchObject({
    name: "echo.v1.EchoService/Say",
    kind: "SERVER",
    traceId: "0af7651916cd43dd8448eb211c80319c",
    parentId: "b7ad6b7169203331",
  });
  expect(collector.metrics.map(({ name }) => name)).toContain("rpc.server.call.duration");
  expect(collector.logs.map(({ body }) => body)).toContain("stopping");
  for (const { bytes } of collector.requests) expect(bytes.includes("secret")).toBe(false);
  expect(service.lines.filter((line) => /Warning|"level":"(warn|error)"/.test(line))).toEqual([]);
}, 90_000);

test("chat-handler's bundle is ready and leaves with 0", async () => {
  await bundle("services/chat-handler", join(folder, "dist", "chat"));
  await using service = await start("chat/main.cjs", { env: { LLM_URL: "http://127.0.0.1:9" } });
  expect((await fetch(`${service.health}/readyz`)).status).toBe(200);
  service.child.kill("SIGTERM");
  expect(await service.ended).toEqual([0, null]);
}, 60_000);
