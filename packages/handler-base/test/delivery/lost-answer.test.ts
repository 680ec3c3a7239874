// An answer is not acknowledged over another connection than the one that it left by.
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { jetstreamManager } from "@nats-io/jetstream";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startService, type Middleware, type RunningService } from "../../src/index.ts";
import { echo } from "../support/echo.ts";
import { openPublisher } from "../support/publisher.ts";
import { echoConfig } from "../support/service.ts";
import { until } from "./support.ts";

let server: NatsFixture;
let service: RunningService;
let answered: number;
let letEnd: () => void;

/** Keeps the first call open behind its answer until the test lets it end. */
beforeEach(async () => {
  server = await startNats();
  answered = 0;
  const gate = Promise.withResolvers<void>();
  letEnd = gate.resolve;
  const hold: Middleware = async (_call, next) => {
    await next();
    answered += 1;
    if (answered === 1) await gate.promise;
  };
  service = await startService(
    { name: "echo", config: echoConfig, middleware: [hold], services: () => [echo()] },
    { NATS_URL: server.url, HEALTH_PORT: "0", HEALTH_HOST: "127.0.0.1", LOG_LEVEL: "error" },
  );
});
afterEach(async () => {
  await service[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

async function isSettled(): Promise<boolean> {
  const jsm = await jetstreamManager(await server.connect());
  for await (const { num_pending: pending, num_ack_pending: open } of jsm.consumers.list("ECHO_REQUESTS")) {
    if (pending + open > 0) return false;
  }
  return true;
}

test("a call whose connection breaks behind its answer is answered again", { timeout: 60_000 }, async () => {
  const publisher = await openPublisher(await server.connect(), ["echo.said.>"]);
  publisher.publish("echo.say", { requestId: "one", text: "hello" });
  await publisher.wait("echo.said.one");
  await server.restart();
  const after = await openPublisher(await server.connect(), ["echo.said.>"]);
  after.publish("echo.say", { requestId: "two", text: "the service is back" });
  await after.wait("echo.said.two");
  letEnd();
  await after.wait("echo.said.one");
  await until(isSettled);
  expect(answered).toBe(3);
});

test("a call that goes on behind its answer is acknowledged after it", { timeout: 60_000 }, async () => {
  const publisher = await openPublisher(await server.connect(), ["echo.said.>"]);
  publisher.publish("echo.say", { requestId: "one", text: "hello" });
  await publisher.wait("echo.said.one");
  letEnd();
  await until(isSettled);
  expect(answered).toBe(1);
});
