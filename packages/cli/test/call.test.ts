import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startNats } from "@pipeline/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newLog, startChat } from "./support/chat.ts";
import { documents, handlers } from "./support/handlers.ts";

let nats: Awaited<ReturnType<typeof startNats>>;
let service: Awaited<ReturnType<typeof startChat>>;
const log = newLog();

beforeAll(async () => {
  nats = await startNats();
  service = await startChat(nats.url, log);
}, 60_000);

afterAll(async () => {
  await service.stop();
  await nats[Symbol.asyncDispose]();
});

const run = (args: readonly string[], input?: string) =>
  handlers(args, { env: { NATS_URL: nats.url }, ...(input !== undefined && { input }) });

describe("on the request subject", () => {
  test("a stream is printed as text, its sources at the end", async () => {
    const { code, stdout, stderr } = await run(["call", "ChatService.Chat", '{"query":"retries?"}']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toBe("It is retried [1].\n\nSources\n  [1] Delivery › Retries  (docs/delivery.md)\n");
  });

  test("--json prints one document a frame", async () => {
    const { code, stdout } = await run(["call", "messages.v1.ChatService.Chat", '{"query":"q"}', "--json"]);
    const frames = documents(stdout);
    expect(code).toBe(0);
    expect(frames.map(({ type, content }) => [type, content ?? ""])).toEqual([
      ["chunk", "It "],
      ["chunk", "is "],
      ["chunk", "retried "],
      ["chunk", "[1]."],
      ["done", ""],
    ]);
    expect(frames.map(({ sequence }) => sequence)).toEqual(["1", "2", "3", "4", "5"]);
  });

  test("a unary answer is JSON; the request may be in a file, on standard input or absent", async () => {
    const folder = await mkdtemp(join(tmpdir(), "handlers-call-"));
    try {
      const file = join(folder, "request.json");
      await writeFile(file, '{"user_id":"u7"}');
      const fromFile = await run(["call", "ChatService.Greet", `@${file}`]);
      const fromInput = await run(["call", "ChatService.Greet", "-"], '{"userId":"u8"}');
      const empty = await run(["call", "ChatService.Greet"]);
      expect(JSON.parse(fromFile.stdout)).toMatchObject({ greeting: "Hello u7" });
      expect(JSON.parse(fromInput.stdout)).toMatchObject({ greeting: "Hello u8" });
      expect(JSON.parse(empty.stdout)).toMatchObject({ greeting: "Hello " });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("an error is one line and exit code 1", async () => {
    log.failing.set("broken", "not_found");
    const { code, stdout, stderr } = await run(["call", "ChatService.Chat", '{"query":"broken"}']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toBe("handlers: not_found: as the test wants\n");
  });
});

describe("as an event", () => {
  test("tokens come from the frames subject, the answer from the response subject", async () => {
    const { code, stdout, stderr } = await run(["call", '{"query":"by event"}', "--subject", "ai.chat.request"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toBe("It is retried [1].\n\nSources\n  [1] Delivery › Retries  (docs/delivery.md)\n");
  });

  test("--json prints frames and then the one answer; the user is that of the subject", async () => {
    const { code, stdout } = await run([
      "call",
      "ChatService.Chat",
      '{"query":"q2","response_subject":"ai.chat.user.u1.response.here"}',
      "--subject",
      "ai.chat.user.u1.message",
      "--json",
    ]);
    const all = documents(stdout);
    expect(code).toBe(0);
    expect(all.map(({ type }) => type ?? "answer")).toEqual(["chunk", "chunk", "chunk", "chunk", "done", "answer"]);
    expect(all.at(-1)).toMatchObject({ response: "It is retried [1]." });
  });

  test("without frames the answer is printed whole", async () => {
    const { code, stdout } = await run([
      "call",
      '{"query":"whole","enable_streaming":false}',
      "--subject",
      "ai.chat.request",
    ]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ response: "It is retried [1].", model: "canned" });
  });

  test("an event that nobody answers ends with the publish; an error answer is an error", async () => {
    const login = await run(["call", "{}", "--subject", "ai.chat.user.u1.login"]);
    expect(login).toEqual({ code: 0, stdout: "", stderr: "" });
    log.failing.set("refused", "invalid_argument");
    const failed = await run(["call", '{"query":"refused"}', "--subject", "ai.chat.request"]);
    expect(failed).toMatchObject({ code: 1, stderr: "handlers: invalid_argument: as the test wants\n" });
  });

  test("a subject that the contract does not have is refused with those it has", async () => {
    const { code, stderr } = await run(["call", "{}", "--subject", "ai.chat.requests"]);
    expect(code).toBe(1);
    expect(stderr).toContain("no event subject of the contract is ai.chat.requests");
    expect(stderr).toContain("ai.chat.user.{user_id}.message");
  });
});

describe("what makes no sense", () => {
  test.each([
    [
      ["call"],
      2,
      "handlers: name a method (SERVICE.METHOD), or an event subject by --subject; see: handlers call --help\n",
    ],
    [["call", "ChatService.Talk", "{}"], 1, "messages.v1.ChatService.Complete"],
    [["call", "WeatherService.Greet"], 1, "--proto-module FILE"],
    [["call", "ChatService.Chat", "{"], 2, "the request is no JSON"],
    [["call", "ChatService.Chat", "@/nowhere.json"], 2, "/nowhere.json cannot be read"],
    [["call", "ChatService.Chat", '{"qery":"x"}'], 1, 'key "qery" is unknown'],
    [["call", "ChatService.Chat", "{}", "{}"], 2, "unexpected argument"],
    [["call", "ChatService.Chat", "{}", "--timeout", "soon"], 2, "--timeout must be a number"],
    [
      ["call", "ChatService.Chat", "{}", "--colour"],
      2,
      "handlers: unknown option --colour; see: handlers call --help\n",
    ],
    [["call", "ChatService.Greet", "{}", "--subject", "ai.chat.request"], 2, "is a subject of"],
    [["call", "ChatService.Chat", "{}", "--server", "nats://127.0.0.1:1"], 1, "cannot be reached"],
    [["call", "ChatService.Login", "{}"], 1, "reached by events only"],
  ])("%j", async (args, code, text) => {
    const ran = await run(args);
    expect(ran.code).toBe(code);
    expect(ran.stderr).toContain(text);
    expect(ran.stderr).not.toContain("    at "); // no stack
  });

  test.each(["ChatService", "messages.v1.ChatService", "Chat", "ChatService.Talk"])(
    "%s suggests the methods of that service only",
    async (name) => {
      const { stderr } = await run(["call", name]);
      expect(stderr.split("\n").filter((line) => line.startsWith("  "))).toEqual(
        ["Chat", "Complete", "Greet", "Login"].map((method) => `  messages.v1.ChatService.${method}`),
      );
      expect(stderr).not.toContain("--proto-module");
    },
  );

  test("a violation is named once, and what is wrong by Node's words is one line", async () => {
    const { code, stderr } = await run([
      "call",
      '{"query":"q","collection":"no good"}',
      "--subject",
      "ai.chat.request",
    ]);
    expect(code).toBe(1);
    expect(stderr.match(/collection/g)).toHaveLength(1);
    const missing = await run(["call", "ChatService.Chat", "--server"]);
    expect(missing.code).toBe(2);
    expect(missing.stderr).toMatch(/^handlers: .*--server.*; see: handlers call --help\n$/);
  });

  test("a call times out in one line", async () => {
    const { code, stderr } = await run(["call", "VoiceService.Ask", "{}", "--timeout", "0.2"]);
    expect(code).toBe(1);
    expect(stderr.split("\n")).toHaveLength(2);
  });
});
