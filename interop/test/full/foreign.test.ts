// Publishers in Go and the NATS command line: they publish and read as docs/wire.md shows, and `nats micro` understands our discovery.
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { RunningService } from "@pipeline/handler-base";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { answerText, audioBytes, questions, sourceTitle, startChatService } from "../support/chat-service.ts";
import { buildExamples, buildNatsCli } from "../support/go.ts";
import { run } from "../support/run.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const scripts = join(root, "interop", "nats-cli");

let nats: NatsFixture;
let service: RunningService;
let examples: string;
let cli: string;

beforeAll(async () => {
  nats = await startNats();
  examples = await buildExamples();
  cli = await buildNatsCli();
  service = await startChatService(nats.url);
}, 1_500_000);

afterAll(async () => {
  await service.stop();
  await nats[Symbol.asyncDispose]();
});

describe("Go", () => {
  const go = (program: string, ...args: string[]) =>
    run(join(examples, program), args, {
      env: { NATS_URL: nats.url, CONTRACT: join(root, "proto", "frozen.binpb") },
    });
  const printed = `${answerText}\n-- ${answerText}\n[1] ${sourceTitle}\n`;

  test.each([
    ["a shared event subject", "chat-event", [questions.ordinary], printed],
    ["a user's own event subject", "chat-event", [questions.ordinary, "u1"], printed],
    ["an attempt that died", "chat-event", [questions.restarting], `It is \n(begun anew)\n${printed}`],
    ["request-reply with a streamed answer", "chat-request", [questions.ordinary], `${answerText}\n`],
    ["request-reply with one answer", "complete", [questions.ordinary], `${answerText}\n`],
    ["a large answer", "complete", [questions.large], `${answerText}\n(${audioBytes} bytes of speech)\n`],
    ["a login and a greeting", "greeting", ["u1", "Ada"], "stored in COMPANIONS_LOGINS\nHello, Ada!\n"],
  ] as const)("%s", async (_what, program, args, stdout) => {
    expect(await go(program, ...args)).toEqual({ code: 0, stdout, stderr: "" });
  });

  test.each(["chat-event", "chat-request", "complete"])("%s reads an error as an error", async (program) => {
    const { code, stdout, stderr } = await go(program, questions.failing);
    expect({ code, stdout: stdout.trim() }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/^(failed_precondition|error 9): the question cannot be answered\n$/);
  });
});

describe("nats", () => {
  const env = () => ({
    NATS_URL: nats.url,
    PATH: [cli, join(root, "node_modules", ".bin"), process.env["PATH"] ?? ""].join(delimiter),
  });
  const shell = (script: string, ...args: string[]) => run("sh", [join(scripts, script), ...args], { env: env() });
  const micro = async (...args: string[]): Promise<unknown> => {
    const { code, stdout, stderr } = await run("nats", ["micro", ...args, "--json"], { env: env() });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return JSON.parse(stdout);
  };
  const lines = (text: string) =>
    text
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const contentOf = (said: readonly Record<string, unknown>[]) =>
    said.map(({ content }) => (typeof content === "string" ? content : "")).join("");

  test.each([[], ["u1"]])("an event subject in bare protobuf, user %j", async (...user) => {
    const { code, stdout } = await shell("chat-event-protobuf.sh", questions.ordinary, ...user);
    expect(code).toBe(0);
    expect(lines(stdout)).toMatchObject([{ response: answerText, sources: [{ title: sourceTitle }] }]);
  });

  test("a user's own event subject: frames, then the final answer", async () => {
    const { code, stdout } = await shell("chat-event.sh", questions.ordinary, "u1");
    const said = lines(stdout);
    expect(code).toBe(0);
    expect(contentOf(said)).toBe(answerText);
    expect(said.find(({ response }) => response !== undefined)).toMatchObject({ response: answerText });
  });

  test("an error is an error", async () => {
    const { stdout } = await shell("complete.sh", questions.failing);
    expect(lines(stdout)).toMatchObject([{ error: { error: true, type: "failed_precondition" } }]);
  });

  test("request-reply with a streamed answer", async () => {
    const { code, stdout } = await shell("chat-request.sh", questions.ordinary);
    expect(code).toBe(0);
    expect(contentOf(lines(stdout))).toBe(answerText);
  });

  test("request-reply with one answer", async () => {
    const { code, stdout } = await shell("complete.sh", questions.ordinary);
    expect(code).toBe(0);
    expect(lines(stdout)).toMatchObject([{ response: answerText }]);
  });

  test("a login and a greeting", async () => {
    const { code, stdout } = await shell("greeting.sh", "u1", "Ada");
    expect(code).toBe(0);
    expect(lines(stdout)).toMatchObject([{ greeting: "Hello, Ada!", user_id: "u1" }]);
  });

  test("a request on an event subject gets the server's confirmation, not the answer", async () => {
    const body = '{"request_id": "pub-ack", "query": "hello"}';
    const { code, stdout } = await run("nats", ["request", "--raw", "ai.chat.request", body], { env: env() });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ stream: "AI_CHAT_REQUESTS" });
  });

  test("nats micro finds the service, its endpoints and its numbers", async () => {
    const subjects = ["Chat", "Complete", "Greet"].map((name) => `messages.v1.ChatService.${name}`);
    expect(await micro("ls")).toMatchObject([{ name: "chat-handler" }]);
    expect(await micro("info", "chat-handler")).toMatchObject({
      info: { name: "chat-handler", endpoints: subjects.map((subject) => ({ subject, queue_group: "q" })) },
    });
    // The tests above have called each of them.
    const stats = JSON.stringify(await micro("stats", "chat-handler"));
    for (const name of ["Chat", "Complete", "Greet"]) {
      expect(stats).toMatch(
        new RegExp(`"name":"ChatService-${name}"[^{}]*"num_requests":[${name === "Greet" ? "0" : "1-9"}]`),
      );
    }
  });
});
