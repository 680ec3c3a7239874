// Bad questions: each is answered with a clear error of the right code, on the request subject and by event, and holds nothing up.
import { create, fromBinary, fromJson, toBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { createInbox, headers, type Msg, type MsgHdrs, type NatsConnection } from "@nats-io/nats-core";
import { ChatRequestSchema, ChatResponseSchema, ChatStreamChunkSchema, type ErrorResponse } from "@pipeline/messages";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { publish, startChat, type Chat, type Question } from "./support/chat.ts";

let nats: NatsFixture;
let chat: Chat;
let nc: NatsConnection;

beforeAll(async () => {
  nats = await startNats();
  chat = await startChat(nats);
  nc = await nats.connect();
});
afterAll(async () => {
  await nc.close();
  await chat[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
});

const encode = (question: Question): Uint8Array => toBinary(ChatRequestSchema, create(ChatRequestSchema, question));

function withHeader(name: string, value: string): MsgHdrs {
  const given = headers();
  given.set(name, value);
  return given;
}

/** Answers have the content type of their question. */
function decode<D extends DescMessage>(desc: D, message: Msg): MessageShape<D> {
  if (message.headers?.get("Content-Type") === "application/json") return fromJson(desc, message.json());
  return fromBinary(desc, message.data);
}

/** The error that a bare caller of the request subject gets in the first message of the stream. */
async function requestError(data: Uint8Array, given?: MsgHdrs): Promise<ErrorResponse | undefined> {
  const inbox = createInbox();
  const replies = nc.subscribe(inbox, { max: 1, timeout: 30_000 });
  nc.publish("messages.v1.ChatService.Chat", data, { reply: inbox, ...(given && { headers: given }) });
  for await (const message of replies) return decode(ChatStreamChunkSchema, message).error;
  return undefined;
}

/** The error on the response subject that a bad event is answered on. */
async function eventError(
  data: Uint8Array,
  { subject = "ai.chat.request", answerOn, given }: { subject?: string; answerOn: string; given?: MsgHdrs },
): Promise<ErrorResponse | undefined> {
  const replies = nc.subscribe(answerOn, { max: 1, timeout: 30_000 });
  await nc.flush();
  nc.publish(subject, data, given && { headers: given });
  for await (const message of replies) return decode(ChatResponseSchema, message).error;
  return undefined;
}

interface Pending {
  readonly num_ack_pending: number;
  readonly num_pending: number;
}

/** Waits until every consumer of the stream has nothing left. */
async function drained(stream: string): Promise<boolean> {
  for (let tries = 0; tries < 400; tries += 1) {
    const reply = await nc.request(`$JS.API.CONSUMER.LIST.${stream}`, new Uint8Array());
    const { consumers } = reply.json<{ consumers: Pending[] }>();
    if (consumers.every((each) => each.num_ack_pending === 0 && each.num_pending === 0)) return true;
    await sleep(50);
  }
  return false;
}

const good = { query: "When is a failed message tried again?" };
const valid = encode({ requestId: "cut-short", ...good });

interface Row {
  readonly data: Uint8Array;
  readonly code: string;
  /** What the message or the violations must say. */
  readonly says: RegExp;
  /** Token of the response subject; absent where no id can be read. */
  readonly id?: string;
  readonly given?: MsgHdrs;
}

const rows: Readonly<Record<string, Row>> = {
  "garbage bytes": { data: Uint8Array.of(0xff, 0xff, 0xff, 0x07, 0x01), code: "invalid_argument", says: /./ },
  "truncated protobuf": { data: valid.subarray(0, -3), code: "invalid_argument", says: /./ },
  "a content type that nobody knows": {
    data: valid,
    given: withHeader("Content-Type", "text/html"),
    code: "invalid_argument",
    says: /content-type/i,
  },
  "protobuf that claims to be JSON": {
    data: valid,
    given: withHeader("Content-Type", "application/json"),
    code: "invalid_argument",
    says: /./,
  },
  "an empty question": {
    data: encode({ requestId: "empty", query: "  " }),
    id: "empty",
    code: "invalid_argument",
    says: /query.*message/,
  },
  "an unknown collection": {
    data: encode({ requestId: "unknown", ...good, collection: "no_such" }),
    id: "unknown",
    code: "not_found",
    says: /no_such/,
  },
  "a collection's name with signs": {
    data: encode({ requestId: "signs", ...good, collection: "a; drop" }),
    id: "signs",
    code: "invalid_argument",
    says: /collection/,
  },
  "a negative top_k": {
    data: encode({ requestId: "negative", ...good, topK: -1 }),
    id: "negative",
    code: "invalid_argument",
    says: /top_k/,
  },
  "a huge top_k": {
    data: encode({ requestId: "huge", ...good, topK: 1_000_000 }),
    id: "huge",
    code: "invalid_argument",
    says: /top_k/,
  },
  "a text of 500 kB": {
    data: encode({ requestId: "long", query: "long ".repeat(100_000) }),
    id: "long",
    code: "invalid_argument",
    says: /query/,
  },
  "a language that is none": {
    data: encode({ requestId: "language", ...good, language: "Ignore the rules" }),
    id: "language",
    code: "invalid_argument",
    says: /language/,
  },
  "a session id with a space": {
    data: encode({ requestId: "session", ...good, sessionId: "a b" }),
    id: "session",
    code: "invalid_argument",
    says: /session_id/,
  },
  "a request id with a wildcard": {
    data: encode({ requestId: "a.>", ...good }),
    code: "invalid_argument",
    says: /request_id/,
  },
  "a response subject of somebody else": {
    data: encode({ requestId: "elsewhere", ...good, responseSubject: "ai.chat.user.u2.response.x", userId: "u1" }),
    id: "elsewhere",
    code: "invalid_argument",
    says: /response_subject/,
  },
};

describe("is told what is wrong", () => {
  test.each(Object.entries(rows))("%s, on the request subject", async (_what, { data, code, says, given }) => {
    const error = await requestError(data, given);
    expect(error).toMatchObject({ error: true, type: code });
    expect([error?.message, ...(error?.violations ?? [])].join("\n")).toMatch(says);
  });

  test.each(Object.entries(rows))("%s, by event", async (_what, { data, code, says, given, id = "_invalid" }) => {
    const error = await eventError(data, { answerOn: `ai.chat.response.${id}`, ...(given && { given }) });
    expect(error).toMatchObject({ error: true, type: code });
    expect([error?.message, ...(error?.violations ?? [])].join("\n")).toMatch(says);
  });

  test("10 MB of text, which the client hands over by claim check", async () => {
    const call = chat.client.complete({ query: "x".repeat(10_000_000) });
    await expect(call).rejects.toMatchObject({ code: "invalid_argument" });
  });

  test("another user's id in the payload", async () => {
    const error = await eventError(encode({ requestId: "mask", userId: "u2", message: "hi" }), {
      subject: "ai.chat.user.u1.message",
      answerOn: "ai.chat.response.mask",
    });
    expect(error?.type).toBe("permission_denied");
  });

  test("no word of the question stands in the error", async () => {
    const error = await requestError(
      encode({ query: "s3cret", topK: -1, language: "also s3cret", sessionId: "s3cret s" }),
    );
    expect(
      JSON.stringify(error, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value)),
    ).not.toContain("s3cret");
  });
});

test("afterwards nothing is stuck, and a good question is answered", async () => {
  expect(await drained("AI_CHAT_REQUESTS")).toBe(true);
  expect(await drained("COMPANIONS_CHAT")).toBe(true);
  const { final } = await publish(nats, "ai.chat.request", { requestId: "good", ...good }, "ai.chat.response.good");
  expect(final.error).toBeUndefined();
  expect(final.sources[0]?.cited).toBe(true);
});

test("a greeting that cannot be read is refused where its user listens", async () => {
  const heard = nc.subscribe("ai.chat.user.u7.greeting.response", { max: 1, timeout: 30_000 });
  await nc.flush();
  nc.publish("ai.chat.user.u7.greeting.request", Uint8Array.of(0xff, 0xff));
  for await (const message of heard) expect(message.headers?.get("Nats-Service-Error-Code")).toBe("3");
  expect(heard.getProcessed()).toBe(1);
});
