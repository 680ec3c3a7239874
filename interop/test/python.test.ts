// Publishers in Python that have nothing of ours but the contract: they publish bare protobuf or bare MessagePack and read the answers.
// These are the programs that docs/wire.md shows.
import { startNats, type NatsFixture } from "@pipeline/testkit";
import type { RunningService } from "@pipeline/handler-base";
import { afterAll, beforeAll, expect, test } from "vitest";
import { answerText, audioBytes, questions, sourceTitle, startChatService } from "./support/chat-service.ts";
import { openPython, type Python } from "./support/python.ts";

let nats: NatsFixture;
let service: RunningService;
let python: Python;

beforeAll(async () => {
  [nats, python] = await Promise.all([startNats(), openPython()]);
  service = await startChatService(nats.url);
}, 400_000);

afterAll(async () => {
  await service.stop();
  await nats[Symbol.asyncDispose]();
});

const answered = `${answerText}\n-- ${answerText}\n`;

test("a shared event subject: frames, then the final answer with its sources", async () => {
  const { code, stdout, stderr } = await python.run("chat_event.py", [questions.ordinary], nats.url);
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `${answered}[1] ${sourceTitle}\n`, stderr: "" });
});

test("a user's own event subject", async () => {
  const { code, stdout } = await python.run("chat_event.py", [questions.ordinary, "u1"], nats.url);
  expect({ code, stdout }).toEqual({ code: 0, stdout: `${answered}[1] ${sourceTitle}\n` });
});

test("an attempt that died is begun anew", async () => {
  const { code, stdout } = await python.run("chat_event.py", [questions.restarting], nats.url);
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout: `It is \n(begun anew)\n${answered}[1] ${sourceTitle}\n`,
  });
});

test.each(["chat_event.py", "chat_request.py", "complete.py", "chat_msgpack.py"])(
  "%s reads an error as an error",
  async (program) => {
    const { code, stdout, stderr } = await python.run(program, [questions.failing], nats.url);
    expect(code).toBe(1);
    expect(stdout.trim()).toBe("");
    expect(stderr).toMatch(/^(failed_precondition|error 9): the question cannot be answered\n$/);
  },
);

test("request-reply with a streamed answer", async () => {
  const { code, stdout } = await python.run("chat_request.py", [questions.ordinary], nats.url);
  expect({ code, stdout }).toEqual({ code: 0, stdout: `${answerText}\n` });
});

test("request-reply with one answer", async () => {
  const { code, stdout } = await python.run("complete.py", [questions.ordinary], nats.url);
  expect({ code, stdout }).toEqual({ code: 0, stdout: `${answerText}\n` });
});

test("an answer that is too large for a message is found in the object store", async () => {
  const { code, stdout } = await python.run("complete.py", [questions.large], nats.url);
  expect({ code, stdout }).toEqual({ code: 0, stdout: `${answerText}\n(${audioBytes} bytes of speech)\n` });
});

test("an event that nobody answers, and a greeting", async () => {
  const { code, stdout } = await python.run("greeting.py", ["u1", "Ada"], nats.url);
  expect({ code, stdout }).toEqual({ code: 0, stdout: "stored in COMPANIONS_LOGINS\nHello, Ada!\n" });
});

test("MessagePack without headers, as before protobuf", async () => {
  const { code, stdout } = await python.run("chat_msgpack.py", [questions.ordinary], nats.url);
  expect({ code, stdout }).toEqual({ code: 0, stdout: answered });
});

test("no answer is ever taken for another one, nor an error for an answer", async () => {
  const { code, stdout, stderr } = await python.run("../test/python/misreading.py", [], nats.url);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toBe("13 types, 156 pairs: none is read as another\n");
});

test("without a service the caller of a request subject is told at once", async () => {
  await using empty = await startNats();
  const { code, stderr } = await python.run("chat_request.py", [questions.ordinary], empty.url);
  expect({ code, stderr }).toEqual({ code: 1, stderr: "unavailable: nobody serves this subject\n" });
});
