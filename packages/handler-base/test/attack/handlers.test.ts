// Handlers that do what none should: the caller is told in time, nothing of theirs is told, and the service goes on.
import {
  fold,
  HandlerError,
  implement,
  startService,
  createClient,
  type Client,
  type RunningService,
} from "../../src/index.ts";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EchoService } from "../gen/echo/v1/echo_pb.ts";
import { echoConfig } from "../support/service.ts";

let server: NatsFixture;
let service: RunningService;
let client: Client<typeof EchoService>;

class Prickly extends Error {
  override get message(): string {
    throw new Error("s3cret");
  }
}

const hostile = new Proxy(
  {},
  {
    getPrototypeOf() {
      throw new Error("s3cret");
    },
  },
);

const thrown: Readonly<Record<string, unknown>> = {
  nothing: undefined,
  null: null,
  text: "s3cret",
  number: 7,
  "a symbol": Symbol("s3cret"),
  "a frozen object": Object.freeze({ message: "s3cret" }),
  "an error with a getter that throws": new Prickly(),
  "a proxy that throws": hostile,
  "an error of its own cause": Object.assign(new Error("s3cret"), { cause: new Error("s3cret") }),
};

/** Frames and answers that are no such thing, as a program without types could give them. */
const nonsense = (value: unknown): object => value as object;

const hostileEcho = implement(EchoService, {
  say({ text, delayMs }) {
    if (text in thrown) throw thrown[text];
    if (text === "never") return new Promise<never>(() => undefined);
    if (text === "nonsense") return nonsense({ text: 7, attempt: "x", data: [] });
    if (text === "undefined") return nonsense(undefined);
    return { text, attempt: delayMs };
  },
  once: () => ({}),
  async *count({ text }) {
    if (text === "never") await new Promise<never>(() => undefined);
    if (text === "after the end") {
      yield { type: "done", done: true };
      yield { text: "late" };
      return;
    }
    yield { text };
    if (text in thrown) throw thrown[text];
  },
  sum: fold(EchoService.method.count, EchoService.method.sum, {
    start: () => ({ add: () => undefined, finish: () => nonsense({ attempt: "x" }) }),
    replay: () => [],
  }),
});

beforeAll(async () => {
  server = await startNats();
  service = await startService(
    { name: "echo", config: echoConfig, services: () => [hostileEcho] },
    { NATS_URL: server.url, HEALTH_PORT: "0", HEALTH_HOST: "127.0.0.1", LOG_LEVEL: "error", SHUTDOWN_GRACE: "1s" },
  );
  client = createClient(EchoService, await server.connect());
});
afterAll(async () => {
  await service.stop();
  await server[Symbol.asyncDispose]();
});

async function failure(work: Promise<unknown>): Promise<HandlerError> {
  const reason: unknown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (reason instanceof HandlerError) return reason;
  throw new Error("it did not fail with a HandlerError", { cause: reason });
}

describe("a handler", { timeout: 30_000 }, () => {
  test.each(Object.keys(thrown))("that throws %s", async (text) => {
    for (const work of [client.say({ text }), Array.fromAsync(client.count({ text }))]) {
      const error = await failure(work);
      expect({ code: error.code, message: error.message }).toEqual({ code: "internal", message: "the handler failed" });
    }
  });

  test("that never answers and heeds no signal ends with its deadline and holds no slot", async () => {
    const calls = Array.from({ length: 80 }, () => failure(client.say({ text: "never" }, { timeoutMs: 300 })));
    for (const { code } of await Promise.all(calls))
      expect(["deadline_exceeded", "resource_exhausted"]).toContain(code);
    expect((await failure(Array.fromAsync(client.count({ text: "never" }, { timeoutMs: 300 })))).code).toBe(
      "deadline_exceeded",
    );
    expect((await client.say({ text: "next" })).text).toBe("next");
  });

  test("that gives what is no message", async () => {
    expect((await failure(client.say({ text: "nonsense" }))).code).toBe("internal");
    expect((await failure(client.sum({ text: "x" }))).code).toBe("internal");
    expect((await client.say({ text: "undefined" })).text).toBe("");
  });

  test("that goes on after its own end", async () => {
    const frames = await Array.fromAsync(
      client.count({ text: "after the end" }),
      ({ type, text }) => `${type} ${text}`,
    );
    expect(frames[0]).toBe("done ");
    expect((await client.say({ text: "next" })).text).toBe("next");
  });
});
