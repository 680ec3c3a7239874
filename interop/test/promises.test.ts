// What docs/wire.md promises, tried by a publisher that knows subjects, bytes and headers only.
import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { createInbox, headers, type Msg, type MsgHdrs, type NatsConnection } from "@nats-io/nats-core";
import type { RunningService } from "@pipeline/handler-base";
import { ChatRequestSchema, ChatResponseSchema, ChatStreamChunkSchema } from "@pipeline/messages";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { answerText, questions, startChatService } from "./support/chat-service.ts";

type Request = MessageInitShape<typeof ChatRequestSchema>;

let nats: NatsFixture;
let nc: NatsConnection;
let service: RunningService;

beforeAll(async () => {
  nats = await startNats();
  nc = await nats.connect();
  service = await startChatService(nats.url);
});

afterAll(async () => {
  await service.stop();
  await nats[Symbol.asyncDispose]();
});

const bytes = (request: Request) => toBinary(ChatRequestSchema, create(ChatRequestSchema, request));
const answerOf = ({ data }: Msg) => fromBinary(ChatResponseSchema, data);
const ask = (requestId: string, more: Request = {}): Request => ({ requestId, query: questions.ordinary, ...more });

function hdrs(values: Readonly<Record<string, string>>): MsgHdrs {
  const out = headers();
  for (const [name, value] of Object.entries(values)) out.set(name, value);
  return out;
}

/** Collects what comes on a subject. */
function tap(subject: string) {
  const got: Msg[] = [];
  const waiting = new Set<() => void>();
  nc.subscribe(subject, {
    callback: (_error, message) => {
      got.push(message);
      for (const wake of waiting) wake();
    },
  });
  return {
    got,
    /** Resolves with the first message that fits. */
    async first(fits: (message: Msg) => boolean = () => true): Promise<Msg> {
      for (;;) {
        const found = got.find(fits);
        if (found) return found;
        const { promise, resolve } = Promise.withResolvers<void>();
        waiting.add(resolve);
        await promise;
        waiting.delete(resolve);
      }
    },
  };
}

describe("errors on the event way", () => {
  test.each(["ai.chat.request", "ai.chat.user.u1.message"])("bytes that are no request, on %s", async (subject) => {
    const answers = tap("ai.chat.response._invalid");
    nc.publish(subject, Uint8Array.of(0x0a, 0xff, 0xff));
    const message = await answers.first();
    expect(answerOf(message)).toMatchObject({ response: "", error: { error: true, type: "invalid_argument" } });
    expect(message.headers?.get("Nats-Service-Error-Code")).toBe("3");
    expect(message.headers?.get("Handler-Type")).toBe("messages.v1.ChatResponse");
  });

  test("no id", async () => {
    const answers = tap("ai.chat.response.>");
    nc.publish("ai.chat.request", bytes({ query: "without an id" }));
    const message = await answers.first();
    expect(message.subject).toBe("ai.chat.response._invalid");
    expect(answerOf(message).error?.type).toBe("invalid_argument");
  });

  test("an id that is no token", async () => {
    const answers = tap("ai.chat.response.>");
    nc.publish("ai.chat.request", bytes(ask("a.b")));
    const message = await answers.first(({ data }) => answerOf({ data } as Msg).error !== undefined);
    expect(message.subject).toBe("ai.chat.response._invalid");
  });

  test("another user in the payload than in the subject", async () => {
    const answers = tap("ai.chat.response.wrong-user");
    nc.publish("ai.chat.user.u1.message", bytes(ask("wrong-user", { userId: "u2" })));
    expect(answerOf(await answers.first()).error?.type).toBe("permission_denied");
  });

  test("a bad field is named", async () => {
    const answers = tap("ai.chat.response.bad-field");
    nc.publish("ai.chat.request", bytes(ask("bad-field", { topK: -1 })));
    const { error } = answerOf(await answers.first());
    expect(error?.type).toBe("invalid_argument");
    expect(error?.violations.join()).toContain("top_k");
  });
});

describe("request ids", () => {
  test.each(["Handler-Request-Id", "Nats-Msg-Id"])("from the header %s", async (name) => {
    const answers = tap(`ai.chat.response.by-${name}`);
    nc.publish("ai.chat.request", bytes(ask("")), { headers: hdrs({ [name]: `by-${name}` }) });
    expect(answerOf(await answers.first())).toMatchObject({ requestId: `by-${name}`, response: answerText });
  });

  test("the same request again gets all of it again, and runs once", async () => {
    const frames = tap("ai.chat.response.stream.again");
    const finals = tap("ai.chat.response.again");
    const body = bytes(ask("again", { enableStreaming: true }));
    nc.publish("ai.chat.request", body);
    await finals.first();
    const before = frames.got.length;
    nc.publish("ai.chat.request", body);
    await finals.first((message) => message !== finals.got[0]);
    const repeated = frames.got.slice(before);
    expect(repeated.map(({ data }) => fromBinary(ChatStreamChunkSchema, data).sequence)).toEqual(
      frames.got.slice(0, before).map(({ data }) => fromBinary(ChatStreamChunkSchema, data).sequence),
    );
    expect(repeated.every((message) => message.headers?.get("Handler-Replayed") === "true")).toBe(true);
  });

  test("the same id with other content is refused at the inbox only", async () => {
    const finals = tap("ai.chat.response.taken");
    nc.publish("ai.chat.request", bytes(ask("taken")));
    await finals.first();
    const reply = await nc.request("messages.v1.ChatService.Complete", bytes(ask("taken", { query: "other" })), {
      timeout: 30_000,
    });
    expect(answerOf(reply).error?.type).toBe("already_exists");
    nc.publish("ai.chat.request", bytes(ask("taken", { query: "another" })));
    nc.publish("ai.chat.request", bytes(ask("after-taken")));
    await tap("ai.chat.response.after-taken").first();
    expect(finals.got).toHaveLength(1);
  });
});

describe("response_subject", () => {
  test.each([
    ["ai.chat.user.u1.message", "ai.chat.user.u1.response.inbox.7"],
    ["ai.chat.request", "ai.chat.response.front.own-subject"],
  ])("on %s: %s", async (subject, responseSubject) => {
    const answers = tap(responseSubject);
    const requestId = subject.includes("user") ? "own-inbox" : "own-subject";
    nc.publish(subject, bytes(ask(requestId, { responseSubject })));
    expect(answerOf(await answers.first())).toMatchObject({ requestId, response: answerText });
  });

  test.each([
    "ai.chat.user.u2.response.inbox",
    "ai.chat.request",
    "$JS.API.STREAM.PURGE.AI_CHAT_REQUESTS",
    "ai.chat.response.>",
    "ai.chat.response.somebody-else",
    "ai.chat.response.stream.x",
  ])("not %s", async (responseSubject) => {
    const requestId = `illegal-${responseSubject.replaceAll(/[^a-z0-9]/gi, "")}`;
    const answers = tap(`ai.chat.response.${requestId}`);
    nc.publish("ai.chat.user.u1.message", bytes(ask(requestId, { responseSubject })));
    expect(answerOf(await answers.first()).error?.type).toBe("invalid_argument");
  });
});

describe("request-reply", () => {
  test("frames are numbered, and an empty message with the status ends them", async () => {
    const inbox = createInbox();
    const replies = tap(inbox);
    nc.publish("messages.v1.ChatService.Chat", bytes(ask("")), { reply: inbox });
    const last = await replies.first(({ data }) => data.length === 0);
    expect(replies.got.at(-1)).toBe(last);
    expect(last.headers?.get("Handler-Status")).toBe("ok");
    const frames = replies.got.slice(0, -1);
    expect(frames.map((frame) => frame.headers?.get("Handler-Sequence"))).toEqual(frames.map((_, at) => `${at + 1}`));
    expect(frames.every((frame) => frame.headers?.get("Handler-Attempt") === "1")).toBe(true);
    expect(fromBinary(ChatStreamChunkSchema, frames.at(-1)?.data ?? new Uint8Array())).toMatchObject({
      type: "done",
      done: true,
    });
  });

  test("answers use the content type of the request", async () => {
    const reply = await nc.request(
      "messages.v1.ChatService.Complete",
      JSON.stringify({ requestId: "json", query: "q" }),
      {
        timeout: 30_000,
        headers: hdrs({ "Content-Type": "application/json; charset=utf-8" }),
      },
    );
    expect(reply.headers?.get("Content-Type")).toBe("application/json");
    expect(reply.json()).toMatchObject({ request_id: "json", response: answerText });
  });

  test("the deadline ends a call", async () => {
    const reply = await nc.request("messages.v1.ChatService.Complete", bytes(ask("", { query: questions.endless })), {
      timeout: 30_000,
      headers: hdrs({ "Handler-Deadline-Ms": "300" }),
    });
    expect(answerOf(reply).error?.type).toBe("deadline_exceeded");
  });

  test("a caller with a token is told that the call lives, and can cancel it", async () => {
    const inbox = createInbox();
    const replies = tap(inbox);
    nc.publish("messages.v1.ChatService.Chat", bytes(ask("", { query: questions.endless })), {
      reply: inbox,
      headers: hdrs({ "Handler-Control": "a-token", "Handler-Credits": "10" }),
    });
    const alive = await replies.first();
    expect([alive.data.length, alive.headers?.get("Handler-Status")]).toEqual([0, "working"]);
    nc.publish("_ctl.a-token", "cancel");
    const last = await replies.first((message) => message.headers?.get("Nats-Service-Error-Code") === "1");
    expect(last).toBeDefined();
  });

  test("a caller that falls silent is taken for gone", async () => {
    const inbox = createInbox();
    const replies = tap(inbox);
    nc.publish("messages.v1.ChatService.Chat", bytes(ask("", { query: questions.endless })), {
      reply: inbox,
      headers: hdrs({ "Handler-Control": "silent", "Handler-Credits": "10" }),
    });
    const last = await replies.first((message) => message.headers?.has("Nats-Service-Error-Code") ?? false);
    expect(last.headers?.get("Nats-Service-Error-Code")).toBe("1");
  });
});
