// The real chat-handler, started from source in a process of its own, before the Python programs: what they print is what its model said.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  freePorts,
  startModelServer,
  startNats,
  startProcess,
  type ModelServer,
  type NatsFixture,
  type ProcessFixture,
} from "@pipeline/testkit";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { openPython, type Python } from "./support/python.ts";

const question = "What is a claim check?";
const answer = "A claim check names an object in the object store [1].";
const printed = `${answer}\n-- ${answer}\n`;
const main = fileURLToPath(new URL("../../services/chat-handler/src/main.ts", import.meta.url));

let nats: NatsFixture;
let model: ModelServer;
let service: ProcessFixture;
let python: Python;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "knowledge-"));
  await writeFile(
    join(folder, "delivery.md"),
    "# Delivery\n\n## Large payloads\n\nA claim check names an object in the object store that holds the payload.\n",
  );
  [nats, model, python] = await Promise.all([startNats(), startModelServer(), openPython()]);
  const [port] = await freePorts(1);
  service = await startProcess({
    command: [process.execPath, main],
    env: {
      NATS_URL: nats.url,
      HEALTH_HOST: "127.0.0.1",
      HEALTH_PORT: String(port),
      LOG_LEVEL: "error",
      LLM_URL: model.url,
      KNOWLEDGE_DIR: folder,
    },
    readyUrl: `http://127.0.0.1:${port}/readyz`,
  });
}, 400_000);

beforeEach(() => {
  model.fail("chat", undefined);
  model.say(answer.split(/(?<= )/));
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
  await model[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

test.each([
  ["a shared event subject", "chat_event.py", [question], `${printed}[1] Delivery\n`],
  ["a user's own event subject", "chat_event.py", [question, "u1"], `${printed}[1] Delivery\n`],
  ["MessagePack without headers", "chat_msgpack.py", [question], printed],
  ["request-reply with a streamed answer", "chat_request.py", [question], `${answer}\n`],
  ["request-reply with one answer", "complete.py", [question], `${answer}\n`],
] as const)("%s", async (_what, program, args, stdout) => {
  expect(await python.run(program, args, nats.url)).toEqual({ code: 0, stdout, stderr: "" });
});

test("a greeting", async () => {
  model.say(["Good morning, Ada!"]);
  const { code, stdout } = await python.run("greeting.py", ["u1", "Ada"], nats.url);
  expect({ code, stdout }).toEqual({ code: 0, stdout: "stored in COMPANIONS_LOGINS\nGood morning, Ada!\n" });
});

test.each(["chat_event.py", "chat_msgpack.py", "chat_request.py", "complete.py"])(
  "%s is told that the model refuses, and prints no answer",
  async (program) => {
    model.fail("chat", { kind: "status", status: 400 });
    const { code, stdout, stderr } = await python.run(program, [question], nats.url);
    expect({ code, stdout: stdout.trim() }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/^(\w+|error \d+): .+\n$/);
  },
);
