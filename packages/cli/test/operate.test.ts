// provision, dlq and tail against a real server and a real service.
import { setTimeout as sleep } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { jetstreamManager } from "@nats-io/jetstream";
import { headers as natsHeaders, type NatsConnection } from "@nats-io/nats-core";
import { ChatRequestSchema, ChatStreamChunkSchema } from "@pipeline/messages";
import { startNats } from "@pipeline/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newLog, startChat } from "./support/chat.ts";
import { documents, handlers, startHandlers } from "./support/handlers.ts";

let nats: Awaited<ReturnType<typeof startNats>>;
let nc: NatsConnection;
const log = newLog();

beforeAll(async () => {
  nats = await startNats();
  nc = await nats.connect();
}, 60_000);

afterAll(async () => {
  await nats[Symbol.asyncDispose]();
});

const run = (...args: readonly string[]) => handlers(args, { env: { NATS_URL: nats.url } });

async function until<T>(read: () => Promise<T>, good: (value: T) => boolean): Promise<T> {
  for (const end = Date.now() + 60_000; ; await sleep(50)) {
    const value = await read();
    if (good(value)) return value;
    if (Date.now() > end) throw new Error(`not within a minute: ${JSON.stringify(value)}`);
  }
}

describe("provision", () => {
  test("check tells what is missing and changes nothing; apply makes it; then nothing is left to do", async () => {
    const jsm = await jetstreamManager(nc);
    const before = await run("provision", "--check");
    expect(before.code).toBe(1);
    expect(before.stdout).toContain("drift: stream AI_CHAT_REQUESTS: is missing");
    expect(before.stdout).toContain("drift: bucket KV_chat_history: is missing");
    expect((await jsm.getAccountInfo()).streams).toBe(0);

    const made = await run("provision", "--json");
    expect({ code: made.code, stderr: made.stderr }).toEqual({ code: 0, stderr: "" });
    const [report] = documents(made.stdout);
    expect(report).toMatchObject({ ok: true });
    expect(report?.["entries"]).toContainEqual({
      kind: "stream",
      name: "DLQ_CHAT_HANDLER",
      action: "created",
      details: [],
    });

    expect(await run("provision", "--check")).toMatchObject({ code: 0 });
    expect(await run("provision", "--bind")).toMatchObject({ code: 0 });
  });

  test("a service that starts afterwards with the same variables finds everything as it should be", async () => {
    const service = await startChat(nats.url, log);
    await service.stop();
    expect(await run("provision", "chat-handler", "--check")).toMatchObject({ code: 0 });
  });

  test("a changed concurrency is a drift in check and applied without", async () => {
    const jsm = await jetstreamManager(nc);
    const args = ["provision", "--max-replicas", "2", "--concurrency", "4", "--concurrency", "ChatService.Chat=5"];
    const checked = await run(...args, "--check");
    expect(checked.code).toBe(1);
    expect(checked.stdout).toContain("max_ack_pending is 160, the contract says 10");
    expect(await run(...args)).toMatchObject({ code: 0 });
    const { config } = await jsm.consumers.info("AI_CHAT_REQUESTS", "chat-handler_ChatService-Chat_events");
    expect(config.max_ack_pending).toBe(10);
    expect(await run("provision")).toMatchObject({ code: 0 });
  });

  test("a conflict is told and leaves everything alone; installations do not meet", async () => {
    const jsm = await jetstreamManager(nc);
    expect(await run("provision", "--installation", "blue")).toMatchObject({ code: 0 });
    await jsm.streams.delete("blue_AI_CHAT_REQUESTS");
    await jsm.streams.add({ name: "OTHER", subjects: ["blue.ai.chat.request"], retention: "interest" });
    const ran = await run("provision", "--installation", "blue");
    expect(ran.code).toBe(1);
    expect(ran.stdout).toContain("conflict: stream blue_AI_CHAT_REQUESTS: stream OTHER");
    expect(await run("provision", "--check")).toMatchObject({ code: 0 });
  });

  test("check leaves out services of which nothing is there, unless they are named", async () => {
    const at = ["--installation", "green", "--check"];
    expect(await run("provision", "chat-handler", "--installation", "green")).toMatchObject({ code: 0 });
    const all = await run("provision", ...at);
    expect(all.code).toBe(0);
    expect(all.stdout).toMatch(/^not provisioned: (?=.*tts-module)(?!.*chat-handler).*\n\d+ of \d+ are as/);
    expect(documents((await run("provision", ...at, "--json")).stdout)).toMatchObject([
      { ok: true, notProvisioned: expect.arrayContaining(["tts-module"]) },
    ]);
    const named = await run("provision", "tts-module", ...at);
    expect(named.code).toBe(1);
    expect(named.stdout).toContain("is missing");
  });

  test.each([
    [["nobody"], 1, "there is no service nobody; there is chat-handler"],
    [["--check", "--bind"], 2, "exclude each other"],
    [["--concurrency", "Foo.Bar=2"], 2, "--concurrency names Foo.Bar"],
    [["--storage", "tape"], 2, "--storage is file or memory"],
    [["--installation", "a b"], 1, "at most 32 letters, digits and dashes"],
  ])("%j makes no sense", async (args, code, text) => {
    const ran = await run("provision", ...args);
    expect(ran.code).toBe(code);
    expect(ran.stderr).toContain(text);
  });
});

describe("dlq", () => {
  const ask = (query: string, requestId: string) =>
    nc.request("ai.chat.request", toBinary(ChatRequestSchema, create(ChatRequestSchema, { query, requestId })), {
      headers: withTrace(),
      timeout: 5000,
    });
  const withTrace = () => {
    const out = natsHeaders();
    out.set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    out.set("Nats-Msg-Id", `m-${crypto.randomUUID()}`);
    return out;
  };
  const list = async (...args: readonly string[]) => documents((await run("dlq", "ls", "--json", ...args)).stdout);

  test("letters are listed by cause, method and time, shown, replayed and dropped", async () => {
    await using service = await startChat(nats.url, log);
    expect(service.healthUrl).toContain("http");
    const finals: string[] = [];
    nc.subscribe("ai.chat.response.*", {
      callback: (_, message) =>
        void finals.push(`${message.subject.slice(17)} ${message.headers?.get("Nats-Service-Error-Code") || "ok"}`),
    });
    log.failing.set("secret one", "unavailable");
    log.failing.set("secret two", "not_found");
    await ask("secret one", "r1");
    await ask("secret two", "r2");
    await nc.request("ai.chat.request", new Uint8Array([255, 255, 255]));
    const letters = await until(
      () => list(),
      (all) => all.length === 3,
    );
    expect(letters.map(({ cause, requestId }) => `${String(cause)} ${String(requestId)}`).toSorted()).toEqual([
      "invalid_argument ",
      "not_found r2",
      "unavailable r1",
    ]);
    expect(finals.toSorted()).toEqual(["_invalid 3", "r1 14", "r2 5"]);

    const lines = await run("dlq", "ls");
    expect(lines.stdout.split("\n")).toHaveLength(4);
    expect(lines.stdout).not.toContain("secret");
    expect(await list("--cause", "not_found")).toHaveLength(1);
    expect(await list("--method", "ChatService.Chat", "--since", "10m")).toHaveLength(3);
    expect(await list("--method", "ChatService.Greet")).toHaveLength(0);
    expect(await list("--since", "2100-01-01")).toHaveLength(0);
    expect(await list("--limit", "2")).toHaveLength(2);
    expect(await list("tts-module")).toHaveLength(0);

    const seq = String(letters.find(({ requestId }) => requestId === "r1")?.["seq"]);
    const shown = await run("dlq", "show", "chat-handler", seq);
    expect(shown.code).toBe(0);
    expect(shown.stdout).toContain('"query": "secret one"');
    expect(shown.stdout).toContain("Handler-Original-Subject: ai.chat.request");
    const bad = letters.find(({ cause }) => cause === "invalid_argument");
    expect((await run("dlq", "show", "chat-handler", String(bad?.["seq"]))).stdout).toContain('"hex": "ffffff"');

    const dry = await run("dlq", "replay", "--cause", "unavailable", "--dry-run");
    expect(dry.stdout).toMatch(/^would replay chat-handler \d+ .* unavailable messages\.v1\.ChatService\.Chat/);
    expect(await list()).toHaveLength(3);

    // The stored error stands until the replay takes it away; then the request is run anew.
    log.failing.clear();
    await ask("secret one", "r1");
    await until(
      () => Promise.resolve(finals.length),
      (count) => count === 4,
    );
    expect(log.asked.filter((query) => query === "secret one")).toHaveLength(1);
    let replayed: ReturnType<typeof natsHeaders> | undefined;
    nc.subscribe("ai.chat.request", { max: 1, callback: (_, message) => void (replayed = message.headers) });
    const ran = await run("dlq", "replay", "chat-handler", seq);
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stdout).toContain("(its stored error was removed)");
    await until(
      () => Promise.resolve(finals.at(-1)),
      (last) => last === "r1 ok",
    );
    expect(log.asked.filter((query) => query === "secret one")).toHaveLength(2);
    expect([...(replayed ?? [])].map(([name]) => name).toSorted()).toEqual(["Handler-Request-Id", "traceparent"]);
    expect(await list()).toHaveLength(2);

    expect(await run("dlq", "drop")).toMatchObject({ code: 2 });
    expect(await run("dlq", "drop", "chat-handler", seq, "--yes")).toMatchObject({ code: 1 });
    expect(await run("dlq", "drop", "--cause", "invalid_argument", "--yes")).toMatchObject({ code: 0 });
    expect((await list()).map(({ requestId }) => requestId)).toEqual(["r2"]);
  });

  test("a stored success is never purged by a replay: its answer is given", async () => {
    await using service = await startChat(nats.url, log);
    expect(service.healthUrl).toContain("http");
    const answers: string[] = [];
    nc.subscribe("ai.chat.response.r9", {
      callback: (_, message) => void answers.push(message.headers?.get("Nats-Service-Error-Code") || "ok"),
    });
    await ask("fine", "r9");
    await until(
      () => Promise.resolve(answers),
      (all) => all.length === 1,
    );
    // A letter for a request that was answered meanwhile, as two publishers with one id make it.
    const letter = natsHeaders();
    letter.set("Handler-Original-Subject", "ai.chat.request");
    letter.set("Handler-Request-Id", "r9");
    letter.set("Handler-Attempt", "5");
    letter.set("Handler-Deadline-Ms", "1");
    const data = toBinary(ChatRequestSchema, create(ChatRequestSchema, { query: "fine", requestId: "r9" }));
    await nc.request("_dlq.chat-handler.ChatService-Chat.aborted", data, { headers: letter, timeout: 5000 });
    const before = log.asked.length;
    const ran = await run("dlq", "replay", "--cause", "aborted");
    expect(ran.stdout).toContain("replayed");
    expect(ran.stdout).not.toContain("removed");
    await until(
      () => Promise.resolve(answers),
      (all) => all.length === 2,
    );
    expect(answers).toEqual(["ok", "ok"]);
    expect(log.asked).toHaveLength(before);
  });

  test("a letter whose subject the contract does not have stays", async () => {
    const letter = natsHeaders();
    letter.set("Handler-Original-Subject", "$JS.API.STREAM.PURGE.DLQ_CHAT_HANDLER");
    await nc.request("_dlq.chat-handler.ChatService-Chat.unknown", "x", { headers: letter, timeout: 5000 });
    const ran = await run("dlq", "replay", "--cause", "unknown");
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain("is none of messages.v1.ChatService.Chat");
    expect(await list("--cause", "unknown")).toHaveLength(1);
  });

  test.each([
    [["dlq"], "say what to do: it can ls, show, replay, drop; see: handlers dlq --help\n"],
    [["dlq", "purge"], "dlq cannot purge: it can ls, show, replay, drop; see: handlers dlq --help\n"],
    [["dlq", "ls", "--limit", "1.5"], "--limit must be a whole number from 1\n"],
    [["dlq", "show"], "name a service"],
    [["dlq", "replay", "3"], "name the one service"],
    [["dlq", "ls", "--since", "yesterday"], "--since yesterday"],
    [["dlq", "replay", "--rate", "0"], "--rate must be a number"],
  ])("%j makes no sense", async (args, text) => {
    const ran = await run(...args);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain(text);
  });
});

describe("tail", () => {
  const publish = () => {
    const request = create(ChatRequestSchema, { query: "a private matter", requestId: "t1", userId: "u1" });
    nc.publish("ai.chat.user.u1.message", toBinary(ChatRequestSchema, request));
  };

  const tailOne = async (...more: readonly string[]) => {
    await using running = startHandlers(["tail", "--count", "1", ...more], { env: { NATS_URL: nats.url } });
    running.stderr.once("data", publish);
    const text = (await running.stdout.setEncoding("utf8").toArray()).join("");
    expect(await running.exited).toBe(0);
    return text;
  };

  test("a message is one line with its type and ids; what users wrote is printed only on request", async () => {
    const plain = await tailOne();
    expect(plain).toMatch(/ ai\.chat\.user\.u1\.message ChatRequest \d+B request_id="t1"/);
    expect(plain).not.toContain("a private matter");
    expect(await tailOne("--content")).toContain("a private matter");
  });

  test("--json prints documents, with texts only on request", async () => {
    const place = { subject: "ai.chat.user.u1.message", type: "messages.v1.ChatRequest" };
    expect(documents(await tailOne("--json"))).toMatchObject([
      { ...place, message: { query: "(16 characters)", request_id: "t1" } },
    ]);
    expect(documents(await tailOne("--json", "--content"))).toMatchObject([
      { ...place, message: { query: "a private matter" } },
    ]);
  });

  test("numbers are shown, also those that JSON holds as texts, and the attempt once", async () => {
    const chunk = create(ChatStreamChunkSchema, { content: "private", sequence: 7n, attempt: 2 });
    const given = natsHeaders();
    given.set("Handler-Attempt", "2");
    given.set("Content-Type", "application/x-protobuf");
    await using running = startHandlers(["tail", "--count", "1"], { env: { NATS_URL: nats.url } });
    running.stderr.once("data", () =>
      nc.publish("ai.chat.response.stream.t7", toBinary(ChatStreamChunkSchema, chunk), { headers: given }),
    );
    const text = (await running.stdout.setEncoding("utf8").toArray()).join("");
    expect(text).toContain('content="(7 characters)"');
    expect(text).toContain('sequence="7"');
    expect(text.match(/attempt=/g)).toHaveLength(1);
    expect(text).toContain("attempt=2");
  });

  test("an undecodable message is a line, not an end; SIGTERM ends it with 0", async () => {
    await using running = startHandlers(["tail", "ai.chat.>"], { env: { NATS_URL: nats.url } });
    running.stderr.once("data", () => nc.publish("ai.chat.request", new Uint8Array([255, 255])));
    const [first] = (await running.stdout.setEncoding("utf8").take(1).toArray()) as string[];
    expect(first).toContain('problem="the payload is no valid messages.v1.ChatRequest');
    running.kill("SIGTERM");
    expect(await running.exited).toBe(0);
  });

  test("a subject that is none is refused", async () => {
    expect(await run("tail", "ai..chat")).toMatchObject({ code: 2 });
    const count = await run("tail", "--count", "0");
    expect(count).toMatchObject({ code: 2, stderr: "handlers: --count must be a whole number from 1\n" });
  });
});
