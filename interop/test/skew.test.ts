// Yesterday's and tomorrow's programs against today's types and today's service: what one side does not know is kept or passed over, and
// nothing breaks.
import { create, fromBinary, fromJson, toBinary, toJson, type DescMessage, type Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { createInbox, headers, type NatsConnection, type Subscription } from "@nats-io/nats-core";
import type { RunningService } from "@pipeline/handler-base";
import * as contract from "@pipeline/messages";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ages, full, names, newField, typeAt } from "./support/ages.ts";
import { answerText, questions, startChatService } from "./support/chat-service.ts";

const today = new Map(
  contract.contractFiles.flatMap((file) => file.messages.map((desc): [string, DescMessage] => [desc.name, desc])),
);
const now = (name: string): DescMessage => {
  const found = today.get(name);
  if (found === undefined) throw new Error(`today's contract has lost ${name}`);
  return found;
};

/** Values of the fields that both types have. */
function common(message: Message, own: DescMessage, other: DescMessage): Record<string, unknown> {
  const shared = own.fields.filter(({ number }) => other.fields.some((field) => field.number === number));
  const seen = reflect(own, message);
  return Object.fromEntries(
    shared.map((field) => {
      const json = toJson(own, message, { useProtoFieldName: true }) as Record<string, unknown>;
      return [field.name, seen.isSet(field) && field.message === undefined ? json[field.name] : seen.isSet(field)];
    }),
  );
}

describe.each(["frozen", "older", "newer"] as const)("types: %s", (age) => {
  test.each(names)("%s keeps what the other side does not know", (name) => {
    const [there, here] = [typeAt(ages[age], name), now(name)];
    for (const [writer, reader] of [
      [there, here],
      [here, there],
    ] as const) {
      const written = full(writer);
      const read = fromBinary(reader, toBinary(writer, written));
      expect(common(read, reader, writer)).toEqual(common(written, writer, reader));
      const back = fromBinary(writer, toBinary(reader, read));
      expect(toJson(writer, back)).toEqual(toJson(writer, written));
    }
  });
});

describe.each(["frozen", "older", "newer"] as const)("service: a program of the %s contract", (age) => {
  const Request = typeAt(ages[age], "ChatRequest");
  const Chunk = typeAt(ages[age], "ChatStreamChunk");
  const Answer = typeAt(ages[age], "ChatResponse");
  const question = (id: string) => ({
    request_id: id,
    query: questions.ordinary,
    enable_streaming: true,
    ...(age === "newer" && { [newField]: "unheard of" }),
  });

  test("event subject", async () => {
    const id = `${age}-event`;
    const frames = listen(`ai.chat.response.stream.${id}`);
    const final = listen(`ai.chat.response.${id}`);
    nc.publish("ai.chat.request", toBinary(Request, fromJson(Request, question(id))));
    let text = "";
    for await (const { data } of frames) {
      const { content, done } = toJson(Chunk, fromBinary(Chunk, data)) as { content?: string; done?: boolean };
      text += content ?? "";
      if (done) break;
    }
    expect(text).toBe(answerText);
    for await (const { data } of final) {
      expect(toJson(Answer, fromBinary(Answer, data))).toMatchObject({ requestId: id, response: answerText });
      break;
    }
  });

  test("request subject", async () => {
    const inbox = createInbox();
    const replies = listen(inbox);
    nc.publish("messages.v1.ChatService.Chat", toBinary(Request, fromJson(Request, question(""))), { reply: inbox });
    let text = "";
    for await (const { data } of replies) {
      if (data.length === 0) break;
      text += (toJson(Chunk, fromBinary(Chunk, data)) as { content?: string }).content ?? "";
    }
    expect(text).toBe(answerText);
  });

  test("JSON", async () => {
    const given = headers();
    given.set("Content-Type", "application/json");
    const body = JSON.stringify(question(`${age}-json`));
    const reply = await nc.request("messages.v1.ChatService.Complete", body, { timeout: 30_000, headers: given });
    expect(reply.json()).toMatchObject({ request_id: `${age}-json`, response: answerText });
  });
});

test("the ages differ from each other, or this file would show nothing", () => {
  const fields = (age: keyof typeof ages) => typeAt(ages[age], "ChatRequest").fields.length;
  expect([fields("older"), fields("newer")]).toEqual([fields("frozen") - 1, fields("frozen") + 1]);
  expect(create(typeAt(ages.newer, "ErrorResponse"))).toHaveProperty("fromTomorrow", "");
});

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

const listen = (subject: string): Subscription => nc.subscribe(subject);
