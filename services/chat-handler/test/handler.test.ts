// Questions and answers over a real nats-server: streamed, whole, by event, with history, greeted, canceled.
import { create, toBinary } from "@bufbuild/protobuf";
import { ChatService, GreetingRequestSchema, LoginEventSchema } from "@pipeline/messages";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { promptOf, publish, startChat, type Chat } from "./support/chat.ts";

let nats: NatsFixture;
let chat: Chat;

beforeAll(async () => {
  nats = await startNats();
  chat = await startChat(nats);
});
afterAll(async () => {
  await chat[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
});

test("an answer is streamed with its sources, and citations that name none are taken out", async () => {
  chat.model.say(["Again after ", "one minute [", "1", "]", ", at most five times [9", "].", " Done"]);
  const { chunks, end, text } = await chat.ask({ query: "When is a failed message tried again?" });
  expect(text).toBe("Again after one minute [1], at most five times. Done");
  expect(chunks.length).toBeGreaterThan(3);
  expect(chunks.slice(0, -1).every(({ type, done }) => type === "chunk" && !done)).toBe(true);
  expect(chunks.map(({ sequence }) => Number(sequence))).toEqual(chunks.map((_chunk, index) => index + 1));
  expect(end).toMatchObject({ type: "done", done: true, usedRag: true, model: "scripted", degraded: [] });
  expect(end.usage).toMatchObject({ inputTokens: 10, outputTokens: 7 });
  expect(end.sources[0]).toMatchObject({ title: "Retries", section: "Delay", uri: "retries.md", cited: true });
  expect(end.sources.slice(1).every(({ cited }) => !cited)).toBe(true);
});

test("the prompt numbers the passages in the order of the sources", async () => {
  chat.model.say(["ok"]);
  const { end } = await chat.ask({ query: "failed message attempts", systemPrompt: "Talk like a pirate." });
  const [system, user] = promptOf(chat.model);
  expect(system?.content.startsWith("Talk like a pirate.\n\n")).toBe(true);
  const blocks = system?.content.split("\n\nSources:\n\n")[1]?.split(/\n\n(?=\[\d+\] )/) ?? [];
  expect(blocks.length).toBe(end.sources.length);
  for (const [index, source] of end.sources.entries()) {
    expect(blocks[index]).toContain(`[${index + 1}] ${source.title}`);
    expect(blocks[index]).toContain(source.text);
  }
  expect(user).toEqual({ role: "user", content: "failed message attempts" });
});

test("complete gives the same answer as one message", async () => {
  chat.model.say(["One ", "minute [1]."]);
  const answer = await chat.client.complete({ message: "When is a failed message tried again?", userId: "u9" });
  expect(answer).toMatchObject({ response: "One minute [1].", usedRag: true, model: "scripted", userId: "u9" });
  expect(answer.requestId).not.toBe("");
  expect(answer.sources[0]).toMatchObject({ title: "Retries", cited: true });
  expect(answer.timestamp).toBeGreaterThan(1_600_000_000);
});

test("top_k and enable_rag are kept to", async () => {
  chat.model.say(["ok [1]"]);
  expect((await chat.ask({ query: "message", topK: 1 })).end.sources).toHaveLength(1);
  const { end, text } = await chat.ask({ query: "message", enableRag: false });
  expect(end).toMatchObject({ usedRag: false, sources: [], degraded: [] });
  expect(text).toBe("ok");
  expect(promptOf(chat.model)[0]?.content).not.toContain("Sources:");
});

test("an event with a bare payload is answered on the documented subjects", async () => {
  chat.model.say(["One ", "minute ", "[1]."]);
  const { frames, final } = await publish(
    nats,
    "ai.chat.request",
    { requestId: "event-1", query: "When is a failed message tried again?", userId: "u1", enableStreaming: true },
    "ai.chat.response.event-1",
  );
  expect(final).toMatchObject({ requestId: "event-1", response: "One minute [1].", usedRag: true, userId: "u1" });
  expect(final.error).toBeUndefined();
  expect(frames.map(({ content }) => content).join("")).toBe(final.response);
  expect(frames.at(-1)).toMatchObject({ type: "done", done: true });
  expect(frames.at(-1)?.sources[0]?.cited).toBe(true);
});

test("an event on a user's subject is answered, on the subject that it names", async () => {
  chat.model.say(["hello"]);
  const { final, frames } = await publish(
    nats,
    "ai.chat.user.u1.message",
    { requestId: "event-2", message: "hi", responseSubject: "ai.chat.user.u1.response.tab-7" },
    "ai.chat.user.u1.response.tab-7",
  );
  expect(final).toMatchObject({ requestId: "event-2", response: "hello", userId: "u1" });
  expect(frames).toEqual([]);
});

test("the history holds both turns, and no other user sees it", async () => {
  chat.model.say(["First answer [1]."]);
  await chat.ask({ query: "first question", userId: "u1", sessionId: "shared" });
  chat.model.say(["Second answer."]);
  await publish(
    nats,
    "ai.chat.user.u1.message",
    { requestId: "history-2", query: "second question", sessionId: "shared" },
    "ai.chat.response.history-2",
  );
  chat.model.say(["Third answer."]);
  await chat.ask({ query: "third question", userId: "u1", sessionId: "shared" });
  expect(promptOf(chat.model).slice(1)).toEqual([
    { role: "user", content: "first question" },
    { role: "assistant", content: "First answer." },
    { role: "user", content: "second question" },
    { role: "assistant", content: "Second answer." },
    { role: "user", content: "third question" },
  ]);
  await chat.ask({ query: "who am I", userId: "u2", sessionId: "shared" });
  expect(promptOf(chat.model).slice(1)).toEqual([{ role: "user", content: "who am I" }]);
  await chat.ask({ query: "another conversation", userId: "u1", sessionId: "other" });
  expect(promptOf(chat.model)).toHaveLength(2);
});

test("the same request again does not double its turn", async () => {
  chat.model.say(["Answer."]);
  const question = { requestId: "twice", query: "only once", userId: "u1", sessionId: "twice" };
  const [one, two] = await Promise.all([chat.ask(question), chat.ask(question)]);
  expect(two.text).toBe(one.text);
  await chat.ask({ query: "next", userId: "u1", sessionId: "twice" });
  expect(promptOf(chat.model).filter(({ content }) => content === "only once")).toHaveLength(1);
});

test("a follow-up question is looked up together with the question before it", async () => {
  chat.model.say(["ok"]);
  await chat.ask({ query: "Where does rain fall in the mountains?", userId: "u1", sessionId: "follow" });
  const { end } = await chat.ask({ query: "Why there?", userId: "u1", sessionId: "follow" });
  expect(end.sources[0]).toMatchObject({ title: "Weather" });
  expect(promptOf(chat.model).at(-1)?.content).toBe("Why there?");
});

test("a user is greeted by name, by request and by event", async () => {
  chat.model.say(['"Welcome, ', 'Ada!"']);
  const greeting = await chat.client.greet({ userId: "u1", username: "ada.l", nickname: "Ada" });
  expect(greeting).toMatchObject({ userId: "u1", greeting: "Welcome, Ada!", model: "scripted" });
  expect(promptOf(chat.model).at(-1)?.content).toContain("Ada");

  const nc = await nats.connect();
  const heard = nc.subscribe("ai.chat.user.u1.greeting.response", { max: 1 });
  await nc.flush();
  nc.publish(
    "ai.chat.user.u1.greeting.request",
    toBinary(GreetingRequestSchema, create(GreetingRequestSchema, { requestId: "greet-1", nickname: "Ada" })),
  );
  const messages = await Array.fromAsync(heard);
  expect(messages).toHaveLength(1);
  await nc.close();
});

test("a login is taken off its stream", async () => {
  const nc = await nats.connect();
  const event = create(LoginEventSchema, { userId: "u1", username: "ada" });
  nc.publish("ai.chat.user.u1.login", toBinary(LoginEventSchema, event));
  await nc.flush();
  const consumers = async (): Promise<{ num_pending: number; ack_floor: { stream_seq: number } }[]> => {
    const reply = await nc.request("$JS.API.CONSUMER.LIST.COMPANIONS_LOGINS", new Uint8Array());
    return reply.json<{ consumers: { num_pending: number; ack_floor: { stream_seq: number } }[] }>().consumers;
  };
  for (let tries = 0; tries < 200; tries += 1) {
    if ((await consumers()).every(({ ack_floor: floor }) => floor.stream_seq === 1)) break;
    await sleep(50);
  }
  expect(await consumers()).toEqual([
    expect.objectContaining({ num_pending: 0, ack_floor: expect.objectContaining({ stream_seq: 1 }) }),
  ]);
  await nc.close();
});

test("a caller that leaves aborts the request to the language model, and no turn is kept", async () => {
  chat.model.say(async function* () {
    for (;;) {
      await sleep(20);
      yield "more ";
    }
  });
  const before = chat.model.of("chat").length;
  for await (const chunk of chat.client.chat({ query: "endless", userId: "u1", sessionId: "left" })) {
    if (chunk.content !== "") break;
  }
  await chat.model.of("chat")[before]?.aborted;
  chat.model.say(["ok"]);
  await chat.ask({ query: "next", userId: "u1", sessionId: "left" });
  expect(promptOf(chat.model).slice(1)).toEqual([{ role: "user", content: "next" }]);
});

test("every rpc of the contract is there", () => {
  expect(Object.keys(chat.client).toSorted()).toEqual(Object.keys(ChatService.method).toSorted());
});
