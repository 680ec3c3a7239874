// The program as it is run: environment in, health and answers out, a clean end.
import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@pipeline/handler-base";
import { ChatService } from "@pipeline/messages";
import { startModelServer, startNats } from "@pipeline/testkit";
import { expect, test } from "vitest";

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));

function start(env: Record<string, string>): {
  child: ChildProcess;
  said: () => string;
  ended: Promise<number | null>;
} {
  const child = spawn(process.execPath, [main], { env, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (data: Buffer) => {
    said += data.toString();
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  return { child, said: () => said, ended };
}

test("runs, answers and ends with 0 on SIGTERM", async () => {
  await using nats = await startNats();
  await using model = await startModelServer();
  const { child, said, ended } = start({
    NATS_URL: nats.url,
    LLM_URL: model.url,
    HEALTH_PORT: "0",
    HEALTH_HOST: "127.0.0.1",
  });
  try {
    for (let tries = 0; tries < 600 && !said().includes('"ready"'); tries += 1) await sleep(50);
    const secret = "what the user wrote";
    const client = createClient(ChatService, await nats.connect());
    const answer = await client.complete({ query: secret, userId: "u1", sessionId: "s1", enableRag: false });
    expect(answer.response).toBe("an answer");
    for (let tries = 0; tries < 200 && !said().includes("answered"); tries += 1) await sleep(50);
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    expect(said()).toContain("answered");
    expect(said()).not.toContain(secret);
  } finally {
    child.kill("SIGKILL");
  }
});

test("says all that is wrong with its environment and ends with 1", async () => {
  const { said, ended } = start({ ENABLE_TTS: "maybe", HISTORY_TURNS: "-1" });
  expect(await ended).toBe(1);
  for (const name of ["LLM_URL", "VLLM_URL", "ENABLE_TTS", "HISTORY_TURNS"]) expect(said()).toContain(name);
});
