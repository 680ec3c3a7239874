// Shadow mode: an old handler that speaks MessagePack on the subjects, and ours beside it as an installation of its own.
import { create, toBinary } from "@bufbuild/protobuf";
import type { NatsConnection } from "@nats-io/nats-core";
import { ChatRequestSchema, GreetingRequestSchema } from "@pipeline/messages";
import { startNats } from "@pipeline/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newLog, startChat } from "./support/chat.ts";
import { documents, handlers, startHandlers } from "./support/handlers.ts";

let nats: Awaited<ReturnType<typeof startNats>>;
let nc: NatsConnection;
let service: Awaited<ReturnType<typeof startChat>>;
const log = newLog();

beforeAll(async () => {
  nats = await startNats();
  nc = await nats.connect();
  service = await startChat(nats.url, log, { INSTALLATION: "shadow" });
  // The handler that came before: a plain subscriber, MessagePack in and out, its answers by the question.
  nc.subscribe("ai.chat.request", {
    callback: (_, message) => {
      const request = new TextDecoder().decode(message.data);
      const id = /request_id..(\w+)/.exec(request)?.[1] ?? "";
      if (request.includes("silent")) return;
      const answer: Record<string, string | boolean> = request.includes("broken")
        ? { error: true, message: "model is away" }
        : { request_id: id, response: "It is retried  [1]." };
      nc.publish(`ai.chat.response.${id}`, pack(answer));
    },
  });
}, 60_000);

afterAll(async () => {
  await service.stop();
  await nats[Symbol.asyncDispose]();
});

/** A small map in MessagePack. */
function pack(map: Readonly<Record<string, string | boolean>>): Uint8Array {
  const text = (value: string) => {
    const bytes = new TextEncoder().encode(value);
    return [0xd9, bytes.length, ...bytes];
  };
  const entries = Object.entries(map);
  return new Uint8Array([
    0x80 + entries.length,
    ...entries.flatMap(([key, value]) => [
      ...text(key),
      ...(typeof value === "string" ? text(value) : [value ? 0xc3 : 0xc2]),
    ]),
  ]);
}

test("each request is answered by both and compared; nothing is published on the observed subjects", async () => {
  const seen: string[] = [];
  const watcher = nc.subscribe("ai.>", { callback: (_, { subject }) => void seen.push(subject) });
  await using running = startHandlers(
    ["shadow", "--installation", "shadow", "--json", "--timeout", "5", "--count", "5"],
    { env: { NATS_URL: nats.url } },
  );
  let said = "";
  const listening = new Promise<void>((resolve) => {
    running.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      if (said.includes("listening on")) resolve();
    });
  });
  await Promise.race([listening, running.exited]); // a command that ended fails below
  log.failing.set("question 4", "not_found");
  nc.publish(
    "ai.chat.request",
    pack({ request_id: "s1", query: "question 1", response_subject: "ai.chat.response.s1" }),
  );
  nc.publish("ai.chat.request", pack({ request_id: "s2", query: "broken 2" }));
  nc.publish("ai.chat.request", pack({ request_id: "s3", query: "silent 3" }));
  nc.publish("ai.chat.request", pack({ request_id: "s4", query: "question 4" }));
  nc.publish("ai.chat.request", pack({ query: "no id" }));
  nc.publish("ai.chat.request", new Uint8Array([255]));
  const greeting = create(GreetingRequestSchema, { requestId: "s5", userId: "u1" });
  nc.publish("ai.chat.user.u1.greeting.request", toBinary(GreetingRequestSchema, greeting)); // nobody serves it
  const stdout = (await running.stdout.setEncoding("utf8").toArray()).join("");
  expect(await running.exited).toBe(1);
  expect(
    documents(stdout)
      .map(({ requestId, verdict }) => `${String(requestId)} ${String(verdict)}`)
      .toSorted(),
  ).toEqual(["s1 same", "s2 only the first failed", "s3 missing", "s4 only the shadow failed", "s5 missing"]);
  expect(stdout).not.toContain("retried");
  expect(said).toContain("passed over on ai.chat.request: it has no request id");
  expect(said).toContain("passed over on ai.chat.request: it is no messages.v1.ChatRequest");
  expect(said).toContain("5 compared: ");
  watcher.unsubscribe();
  const published = seen.filter((subject) => !subject.endsWith("request"));
  expect(published.toSorted()).toEqual(["ai.chat.response.s1", "ai.chat.response.s2", "ai.chat.response.s4"]);
});

test("answers that differ are measured, and shown only on request", async () => {
  log.words = ["It ", "is ", "dropped."];
  await using running = startHandlers(["shadow", "--installation", "shadow", "--content", "--count", "1"], {
    env: { NATS_URL: nats.url },
  });
  const request = create(ChatRequestSchema, { requestId: "d1", query: "words" });
  running.stderr.once("data", () => {
    nc.subscribe("ai.chat.user.u1.message", {
      callback: () => nc.publish("ai.chat.response.d1", pack({ request_id: "d1", response: "It is kept." })),
    });
    nc.publish("ai.chat.user.u1.message", toBinary(ChatRequestSchema, request));
  });
  const stdout = (await running.stdout.setEncoding("utf8").toArray()).join("");
  expect(await running.exited).toBe(0);
  expect(stdout).toContain("differs words=50% messages.v1.ChatService.Chat ai.chat.user.u1.message request_id=d1");
  expect(stdout).toContain('first:  "It is kept."\n  shadow: "It is dropped."');
});

test("the observed installation is not its own shadow", async () => {
  expect(await handlers(["shadow"], { env: { NATS_URL: nats.url } })).toMatchObject({ code: 2 });
});
