// Claim checks that name what is not what it says: each request is answered, and holds no slot for ever.
import { createHash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { createInbox, headers, type NatsConnection } from "@nats-io/nats-core";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createClient, type RunningService } from "../../src/index.ts";
import { EchoRequestSchema, EchoService } from "../gen/echo/v1/echo_pb.ts";
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
  publisher = await openPublisher(nc);
});
afterAll(async () => {
  await service.stop();
  await server[Symbol.asyncDispose]();
});

const bucket = "handler_payloads";
const digestOf = (data: Uint8Array) => `SHA-256=${createHash("sha256").update(data).digest("base64url")}=`;
const small = toBinary(EchoRequestSchema, create(EchoRequestSchema, { text: "from the store" }));

/** Writes an object as no client library would: what it says of itself, and its pieces. */
async function forge(name: string, meta: Readonly<Record<string, unknown>>, pieces: readonly Uint8Array[] = []) {
  for (const piece of pieces) await nc.request(`$O.${bucket}.C.${name}`, piece);
  const encoded = Buffer.from(name).toString("base64url");
  const subject = `$O.${bucket}.M.${encoded.padEnd(Math.ceil(encoded.length / 4) * 4, "=")}`;
  const rollup = headers();
  rollup.set("Nats-Rollup", "sub");
  const told = { name, bucket, nuid: name, size: 1, chunks: pieces.length, digest: digestOf(small), ...meta };
  await nc.request(subject, JSON.stringify(told), { headers: rollup, timeout: 5000 });
}

/** Code of the error that a request with this claim check is answered with; empty = none. */
async function codeFor(name: string): Promise<string> {
  const inbox = createInbox("_INBOX.test");
  const given = headers();
  given.set("Handler-Claim-Check", name);
  nc.publish("echo.v1.EchoService.Say", new Uint8Array(), { reply: inbox, headers: given });
  await publisher.wait(inbox, 1, 20_000);
  return (
    publisher.heard.find(({ subject }) => subject === inbox)?.message.headers?.get("Nats-Service-Error-Code") ?? ""
  );
}

test("an object that lacks its pieces, links in a circle, lies about its size or is damaged is an error in time", async () => {
  await createClient(EchoService, nc).say({ data: new Uint8Array(2_000_000) }); // the bucket is in use
  await forge("whole", { size: small.length }, [small]);
  await forge("nothing-there", { size: 100, chunks: 1 });
  await forge("circle", { options: { link: { bucket, name: "circle" } } });
  await forge("elsewhere", { options: { link: { bucket: "no_such", name: "x" } } });
  await forge("huge", { size: 1e12, chunks: 8e6 });
  await forge("liar", { size: 10, digest: digestOf(Buffer.alloc(200_000)) }, [
    Buffer.alloc(100_000),
    Buffer.alloc(100_000),
  ]);
  await forge("damaged", { size: small.length }, [small.toReversed()]);
  await forge("odd", { size: "many", nuid: 7, digest: null });
  const names = [
    "whole",
    "nothing-there",
    "circle",
    "elsewhere",
    "huge",
    "liar",
    "damaged",
    "odd",
    "never-was",
    "a b.*>",
  ];
  const codes = await Promise.all(names.map(async (name) => [name, await codeFor(name)] as const));
  expect(Object.fromEntries(codes)).toEqual({
    whole: "",
    "nothing-there": "14",
    circle: "3",
    elsewhere: "3",
    huge: "3",
    liar: "3",
    damaged: "14",
    odd: "3",
    "never-was": "5",
    "a b.*>": "5",
  });
  const load: unknown = await (await fetch(`${service.healthUrl}/load`)).json();
  expect(load).toMatchObject({ in_flight: 0, queued: 0 });
}, 60_000);
