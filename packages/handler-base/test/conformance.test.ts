// One suite for every method kind, on the request subject and on the event subject, in all three content types. The caller here is a bare
// publisher: it knows subjects, headers and message types, and uses nothing of the library but the generated types.
import {
  create,
  fromBinary,
  fromJson,
  toBinary,
  toJson,
  type DescMessage,
  type MessageShape,
} from "@bufbuild/protobuf";
import { decode as unpack, encode as pack } from "@msgpack/msgpack";
import { createInbox, headers, type Msg, type NatsConnection } from "@nats-io/nats-core";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunningService } from "../src/index.ts";
import { EchoFrameSchema, EchoRequestSchema, EchoResponseSchema, type EchoRequest } from "./gen/echo/v1/echo_pb.ts";
import { startEcho } from "./support/service.ts";

let server: NatsFixture;
let service: RunningService;
let nc: NatsConnection;

beforeAll(async () => {
  server = await startNats();
  service = await startEcho(server.url);
  nc = await server.connect();
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

type ContentType = "application/x-protobuf" | "application/json" | "application/msgpack";

function encode(request: EchoRequest, type: ContentType): Uint8Array {
  if (type === "application/x-protobuf") return toBinary(EchoRequestSchema, request);
  const json = toJson(EchoRequestSchema, request, { useProtoFieldName: true });
  return type === "application/json" ? new TextEncoder().encode(JSON.stringify(json)) : pack(json);
}

function decode<D extends DescMessage>(desc: D, message: Msg): MessageShape<D> {
  const type = message.headers?.get("Content-Type") || "application/x-protobuf";
  if (type === "application/x-protobuf") return fromBinary(desc, message.data);
  if (type === "application/json") return fromJson(desc, message.json(), { ignoreUnknownFields: true });
  const plain = JSON.stringify(unpack(Uint8Array.from(message.data)), (_key, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value,
  );
  return fromJson(desc, JSON.parse(plain), { ignoreUnknownFields: true });
}

/** Publishes and collects what arrives on these subjects until `done` says so. */
async function exchange(
  subjects: readonly string[],
  publish: (inbox: string) => void,
  done: (message: Msg) => boolean,
): Promise<Msg[]> {
  const inbox = createInbox();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const heard: Msg[] = [];
  const subscriptions = [inbox, ...subjects].map((subject) =>
    nc.subscribe(subject, {
      callback: (error, message) => {
        if (error) return reject(error);
        heard.push(message);
        if (done(message)) resolve();
      },
    }),
  );
  await nc.flush();
  const timer = setTimeout(() => reject(new Error(`only ${heard.length} messages arrived`)), 20_000);
  publish(inbox);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    for (const subscription of subscriptions) subscription.unsubscribe();
  }
  return heard;
}

let number = 0;
const newId = () => `c${(number += 1)}`;
const contentTypes = ["application/x-protobuf", "application/json", "application/msgpack"] as const;

describe.each(contentTypes)("%s", (type) => {
  const typed = (): ReturnType<typeof headers> => {
    const out = headers();
    if (type === "application/json") out.set("Content-Type", type); // protobuf and MessagePack need no header
    return out;
  };
  const call = (subject: string, request: EchoRequest) => (inbox: string) =>
    nc.publish(subject, encode(request, type), { reply: inbox, headers: typed() });

  test.each(["Say", "Once", "Sum"])("%s on its request subject", async (method) => {
    const request = create(EchoRequestSchema, { requestId: newId(), text: "hello", frames: 3 });
    const [answer] = await exchange([], call(`echo.v1.EchoService.${method}`, request), () => true);
    const { text, requestId, error } = decode(EchoResponseSchema, answer as Msg);
    expect({ text, requestId, error }).toEqual({
      text: method === "Sum" ? "hello1 hello2 hello3 " : "hello",
      requestId: request.requestId,
      error: undefined,
    });
    expect(answer?.headers?.get("Handler-Type")).toBe("echo.v1.EchoResponse");
    expect(answer?.headers?.get("Handler-Status")).toBe("ok");
  });

  test("Count on its request subject", async () => {
    const request = create(EchoRequestSchema, { requestId: newId(), text: "n", frames: 5 });
    const heard = await exchange([], call("echo.v1.EchoService.Count", request), ({ data }) => data.length === 0);
    const end = heard.pop();
    expect(end?.headers?.get("Handler-Status")).toBe("ok");
    const frames = heard.map((message) => decode(EchoFrameSchema, message));
    expect(frames.map(({ text }) => text)).toEqual(["n1 ", "n2 ", "n3 ", "n4 ", "n5 ", ""]);
    expect(frames.map(({ sequence }) => Number(sequence))).toEqual([1, 2, 3, 4, 5, 6]);
    expect(frames.at(-1)).toMatchObject({ type: "done", done: true });
  });

  test.each([
    ["echo.say", "echo.said"],
    ["echo.once", "echo.onced"],
  ])("%s as an event", async (subject, answers) => {
    const request = create(EchoRequestSchema, { requestId: newId(), text: "hello" });
    const at = `${answers}.${request.requestId}`;
    const heard = await exchange([at], call(subject, request), ({ subject: to }) => to === at);
    const answer = heard.find((message) => message.subject === at);
    expect(decode(EchoResponseSchema, answer as Msg)).toMatchObject({ text: "hello", requestId: request.requestId });
    expect(answer?.headers?.get("Handler-Type")).toBe("echo.v1.EchoResponse");
  });

  test.each(["echo.count", "echo.user.u1.count"])("%s as an event, frames and final", async (subject) => {
    const request = create(EchoRequestSchema, { requestId: newId(), userId: "u1", text: "n", frames: 4, stream: true });
    const frameSubject = `echo.frames.${request.requestId}`;
    const final = `echo.counted.${request.requestId}`;
    const heard = await exchange([frameSubject, final], call(subject, request), ({ subject: to }) => to === final);
    const frames = heard.filter((message) => message.subject === frameSubject);
    expect(frames.map((message) => decode(EchoFrameSchema, message).text)).toEqual(["n1 ", "n2 ", "n3 ", "n4 ", ""]);
    expect(frames.every(({ data }) => data.length > 0)).toBe(true);
    const answer = heard.find((message) => message.subject === final);
    expect(decode(EchoResponseSchema, answer as Msg).text).toBe("n1 n2 n3 n4 ");
  });

  test.each([
    ["Say", EchoResponseSchema],
    ["Sum", EchoResponseSchema],
    ["Count", EchoFrameSchema],
  ])("an error of %s on its request subject", async (method, desc) => {
    const request = create(EchoRequestSchema, { requestId: newId(), fail: "not_found" });
    const [answer] = await exchange([], call(`echo.v1.EchoService.${method}`, request), () => true);
    expect(answer?.headers?.get("Nats-Service-Error-Code")).toBe("5");
    expect(decode(desc, answer as Msg).error).toMatchObject({ error: true, type: "not_found", message: "as asked" });
  });

  test.each([
    ["echo.say", "echo.said"],
    ["echo.once", "echo.onced"],
    ["echo.count", "echo.counted"],
  ])("an error of %s as an event", async (subject, answers) => {
    const request = create(EchoRequestSchema, { requestId: newId(), fail: "not_found" });
    const at = `${answers}.${request.requestId}`;
    const heard = await exchange([at], call(subject, request), ({ subject: to }) => to === at);
    const answer = heard.find((message) => message.subject === at);
    expect(answer?.headers?.get("Nats-Service-Error-Code")).toBe("5");
    expect(decode(EchoResponseSchema, answer as Msg).error).toMatchObject({ error: true, type: "not_found" });
  });

  test("what cannot be decoded is answered with invalid_argument, on both ways", async () => {
    const garbage =
      type === "application/json"
        ? new TextEncoder().encode("{")
        : type === "application/msgpack"
          ? Uint8Array.of(0x8f, 0xff)
          : Uint8Array.of(0x0a, 0xff);
    const publish = (subject: string) => (inbox: string) =>
      nc.publish(subject, garbage, { reply: inbox, headers: typed() });
    const [answer] = await exchange([], publish("echo.v1.EchoService.Say"), () => true);
    expect(answer?.headers?.get("Nats-Service-Error-Code")).toBe("3");
    const heard = await exchange(["echo.said._invalid"], publish("echo.say"), ({ subject }) =>
      subject.startsWith("echo"),
    );
    const rejected = heard.find(({ subject }) => subject === "echo.said._invalid");
    expect(rejected?.headers?.get("Nats-Service-Error-Code")).toBe("3");
    expect(decode(EchoResponseSchema, rejected as Msg).error?.type).toBe("invalid_argument");
  });
});
