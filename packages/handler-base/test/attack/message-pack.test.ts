// MessagePack that promises more than it holds, or numbers that no field of the contract takes.
import { decode as unpack, encode as pack } from "@msgpack/msgpack";
import { createInbox, type NatsConnection } from "@nats-io/nats-core";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunningService } from "../../src/index.ts";
import { checkItems } from "../../src/message-pack-size.ts";
import { openPublisher, type Publisher } from "../support/publisher.ts";
import { startEcho } from "../support/service.ts";

let server: NatsFixture;
let nc: NatsConnection;
let service: RunningService;
let publisher: Publisher;

beforeAll(async () => {
  server = await startNats();
  service = await startEcho(server.url);
  nc = await server.connect();
  publisher = await openPublisher(nc, ["echo.>"]);
});
afterAll(async () => {
  await service.stop();
  await server[Symbol.asyncDispose]();
});

async function codeOf(data: Uint8Array): Promise<string> {
  const inbox = createInbox("_INBOX.test");
  nc.publish("echo.v1.EchoService.Once", data, { reply: inbox });
  await publisher.wait(inbox);
  const heard = publisher.heard.find(({ subject }) => subject === inbox);
  return heard?.message.headers?.get("Nats-Service-Error-Code") ?? "";
}

const repeated = (head: readonly number[], times: number) =>
  Buffer.concat([Buffer.of(0x81, 0xa1, 0x78), ...Array.from({ length: times }, () => Buffer.from(head))]);

const bombs: Readonly<Record<string, Uint8Array>> = {
  "a map of 2^32 entries": Buffer.of(0xdf, 0xff, 0xff, 0xff, 0xff),
  "a text of 4 GB": Buffer.of(0x81, 0xa1, 0x78, 0xdb, 0xff, 0xff, 0xff, 0xff),
  "20 000 arrays in one another that promise 65 535 items each": repeated([0xdd, 0, 0, 0xff, 0xff], 20_000),
  "100 000 short arrays in one another that promise 65 535 items each": repeated([0xdc, 0xff, 0xff], 100_000),
  "100 000 maps in one another": repeated([0x81, 0xa1, 0x78], 100_000),
  "an end too soon": Buffer.of(0x82, 0xa1, 0x78),
};

describe("a MessagePack request", { timeout: 60_000 }, () => {
  test.each(Object.entries(bombs))("with %s is invalid, and takes no memory", async (_what, data) => {
    const before = process.memoryUsage().rss;
    expect(await codeOf(data)).toBe("3");
    expect(process.memoryUsage().rss - before).toBeLessThan(256e6);
  });

  test.each([Number.NaN, Infinity, 1.5, 2 ** 40, -(2 ** 31) - 1])(
    "with %d where a whole number is due is invalid, not a failure of the service",
    async (value) => {
      expect(await codeOf(pack({ request_id: `n${value}`, delay_ms: value }))).toBe("3");
    },
  );

  test("that nests within reason is taken", async () => {
    const nested: unknown = Array.from({ length: 30 }).reduce<unknown>((inner) => [inner], null);
    expect(await codeOf(pack({ request_id: "nested", text: "x", unknown: nested }, { maxDepth: 200 }))).toBe("");
  }, 30_000);
});

const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { depthSize: "small" },
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.double(),
    fc.maxSafeInteger(),
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie("any"), { maxLength: 20 }),
    fc.dictionary(fc.string({ minLength: 1 }), tie("any"), { maxKeys: 20 }),
  ),
})).any;

test("everything that the format can say passes the count of its items", () => {
  fc.assert(
    fc.property(value, (one) => {
      expect(() => checkItems(pack(one))).not.toThrow();
    }),
    { numRuns: 500 },
  );
});

test("bytes that pass the count are decoded within their means, or refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (data) => {
      try {
        checkItems(data);
        unpack(data);
      } catch (reason) {
        expect(reason).toBeInstanceOf(Error);
      }
    }),
    { numRuns: 2000 },
  );
});
