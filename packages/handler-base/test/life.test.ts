// The life of a service: health while it starts and stops, bounded shutdown, errors at the start.
import { setTimeout as sleep } from "node:timers/promises";
import { startNats } from "@pipeline/testkit";
import { describe, expect, test } from "vitest";
import { createClient, startService } from "../src/index.ts";
import { HandlerError } from "../src/error.ts";
import { createLogger } from "../src/log.ts";
import { createShutdown } from "../src/shutdown.ts";
import { serviceStopping } from "../src/stopping.ts";
import { until } from "./delivery/support.ts";
import { EchoService } from "./gen/echo/v1/echo_pb.ts";
import { echo } from "./support/echo.ts";
import { echoConfig, startEcho } from "./support/service.ts";

const get = async (url: string) => {
  const response = await fetch(url, { signal: AbortSignal.timeout(5000) });
  return { status: response.status, body: await response.text() };
};

describe("a service", { timeout: 60_000 }, () => {
  test("tells its health, load and metrics", async () => {
    await using server = await startNats();
    await using service = await startEcho(server.url);
    const client = createClient(EchoService, await server.connect());
    await client.say({ text: "hi" });
    expect(await get(`${service.healthUrl}/livez`)).toMatchObject({ status: 200 });
    expect(await get(`${service.healthUrl}/startupz`)).toMatchObject({ status: 200 });
    await until(async () => (await get(`${service.healthUrl}/readyz`)).status === 200);
    const running = client.say({ text: "slow", delayMs: 500 });
    await until(async () => JSON.parse((await get(`${service.healthUrl}/load`)).body).in_flight === 1);
    await running;
    expect((await get(`${service.healthUrl}/metrics`)).body).toMatch(/EchoService\/?\.?Say/);
    expect(await get(`${service.healthUrl}/nothing`)).toMatchObject({ status: 404 });
    expect((await fetch(`${service.healthUrl}/livez`, { method: "POST", body: "x" })).status).toBe(405);
  });

  test("is not ready while NATS is away, stays alive, and recovers by itself", async () => {
    await using server = await startNats();
    await using service = await startEcho(server.url);
    await until(async () => (await get(`${service.healthUrl}/readyz`)).status === 200);
    await server.kill();
    await until(async () => (await get(`${service.healthUrl}/readyz`)).status === 503);
    expect((await get(`${service.healthUrl}/readyz`)).body).toContain("nats");
    expect((await get(`${service.healthUrl}/livez`)).status).toBe(200);
    await server.restart();
    await until(async () => (await get(`${service.healthUrl}/readyz`)).status === 200);
  });

  test("waits for NATS at the start, alive and not ready", async () => {
    await using server = await startNats();
    await server.kill();
    const port = 20_000 + Math.floor(Math.random() * 20_000);
    const starting = startEcho(server.url, { env: { HEALTH_PORT: String(port) } });
    const url = `http://127.0.0.1:${port}`;
    await until(async () => (await get(`${url}/livez`).catch(() => ({ status: 0 }))).status === 200);
    expect((await get(`${url}/startupz`)).status).toBe(503);
    await server.restart();
    await using service = await starting;
    await until(async () => (await get(`${service.healthUrl}/readyz`)).status === 200);
  });

  test("rejects at the start with what is wrong, and leaves nothing open", async () => {
    await using server = await startNats({ config: 'authorization { user: "u", password: "p" }\n' });
    await expect(startEcho(server.url)).rejects.toThrow(/authorization/i);
    await expect(startEcho("not a url")).rejects.toThrow(/NATS_URL/);
    await using open = await startNats();
    await expect(
      startService(
        { name: "other", config: echoConfig, services: () => [echo()] },
        { NATS_URL: open.url, HEALTH_PORT: "0", LOG_LEVEL: "error" },
      ),
    ).rejects.toThrow(/belongs to the handler echo, not to other/);
    await expect(
      startService(
        { name: "echo", config: echoConfig, services: () => Promise.reject(new Error("no model")) },
        { NATS_URL: open.url, HEALTH_PORT: "0", LOG_LEVEL: "error" },
      ),
    ).rejects.toThrow(/no model/);
    await until(
      async () =>
        ((await (await fetch(`${open.monitorUrl}/connz`)).json()) as { num_connections: number }).num_connections === 0,
    );
  });

  test("stops once, however often it is asked", async () => {
    await using server = await startNats();
    const service = await startEcho(server.url);
    await Promise.all([service.stop(), service.stop()]);
    await service.stopped;
    await expect(get(`${service.healthUrl}/livez`)).rejects.toThrow(/fetch failed/);
  });
});

describe("a shutdown", () => {
  const log = createLogger({ sink: () => undefined });

  test("stops accepting everywhere before anything drains away, closes in reverse order, and survives a part that fails", async () => {
    const steps: string[] = [];
    const shutdown = createShutdown({ graceMs: 1000, log });
    for (const name of ["first", "second"]) {
      shutdown.add({
        name,
        stopAccepting: () => void steps.push(`${name} stops`),
        drain: async () => {
          await sleep(20);
          steps.push(`${name} drained`);
          if (name === "first") throw new Error("broken");
        },
        close: () => void steps.push(`${name} closed`),
      });
    }
    await shutdown.stop();
    expect(steps.slice(0, 2).toSorted()).toEqual(["first stops", "second stops"]);
    expect(steps.slice(-2)).toEqual(["second closed", "first closed"]);
    expect(shutdown.phase).toBe("stopped");
    expect(() => shutdown.add({ name: "late" })).toThrow(HandlerError);
  });

  test("is bounded: grace, then abort, then closing, whatever hangs", async () => {
    const steps: string[] = [];
    const shutdown = createShutdown({ graceMs: 50, settleMs: 50, closeMs: 50, log });
    shutdown.add({
      name: "hangs",
      drain: () => new Promise(() => undefined),
      abort: () => void steps.push("aborted"),
      close: () => new Promise(() => undefined),
    });
    shutdown.add({ name: "other", close: () => void steps.push("other closed") });
    await shutdown.stop();
    expect(steps).toEqual(["aborted", "other closed"]);
  });

  test("asked for a second time at once ends the grace period", async () => {
    const shutdown = createShutdown({ graceMs: 60_000, settleMs: 50, log });
    let aborted = false;
    shutdown.add({ name: "slow", drain: () => new Promise(() => undefined), abort: () => void (aborted = true) });
    void shutdown.stop();
    expect(shutdown.signal.reason).toBe(serviceStopping); // by which settlement knows it, whoever throws it
    await shutdown.stopNow();
    expect(aborted).toBe(true);
  });
});
