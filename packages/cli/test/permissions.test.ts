// The snippets as an operator uses them: pasted into a server's configuration. What they allow and deny is tested with the library.
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toBinary, create } from "@bufbuild/protobuf";
import { LoginEventSchema } from "@pipeline/messages";
import { startModelServer, startNats } from "@pipeline/testkit";
import { describe, expect, test } from "vitest";
import { documents, handlers, startHandlers } from "./support/handlers.ts";
import { newLog, startChat } from "./support/chat.ts";

describe("permissions", () => {
  test("snippets of a service and a user work in a server's configuration", async () => {
    const service = await handlers(["permissions", "chat-handler"]);
    const user = await handlers(["permissions", "user", "u1"]);
    expect(service.stdout).toContain(
      '"$JS.API.CONSUMER.MSG.NEXT.COMPANIONS_CHAT.chat-handler_ChatService-Chat_events"',
    );
    expect(service.stdout).not.toMatch(/STREAM\.(CREATE|UPDATE|PURGE|DELETE)/);
    expect(user.stdout).toContain("the client's inbox prefix must be _INBOX_u1");
    await using nats = await startNats({
      config: `authorization { users: [
        { user: admin, password: secret }
        { user: chat, password: secret, ${service.stdout.replaceAll(/^#.*$/gm, "")} }
        { user: u1, password: secret, ${user.stdout.replaceAll(/^#.*$/gm, "")} }
      ] }\n`,
    });
    const asAdmin = { NATS_URL: nats.url, NATS_USER: "admin", NATS_PASSWORD: "secret" };
    expect(await handlers(["provision"], { env: asAdmin })).toMatchObject({ code: 0 });
    await using running = await startChat(nats.url, newLog(), {
      NATS_USER: "chat",
      NATS_PASSWORD: "secret",
      PROVISION: "bind",
    });
    expect(running.healthUrl).toContain("http");
    const answered = await handlers(["call", "ChatService.Chat", '{"query":"q"}'], { env: asAdmin });
    expect(answered).toMatchObject({ code: 0, stderr: "" });
    const nc = await nats.connect({ user: "u1", pass: "secret", inboxPrefix: "_INBOX_u1" });
    const event = toBinary(LoginEventSchema, create(LoginEventSchema, {}));
    const ack = await nc.request("ai.chat.user.u1.login", event, { timeout: 5000 });
    expect(ack.json()).toMatchObject({ stream: "COMPANIONS_LOGINS" });
    await expect(nc.request("ai.chat.user.u2.login", event, { timeout: 5000 })).rejects.toThrow(/violation/i);
    const denied = await handlers(["call", "{}", "--subject", "ai.chat.request"], {
      env: { NATS_URL: nats.url, NATS_USER: "u1", NATS_PASSWORD: "wrong" },
    });
    expect(denied).toMatchObject({ code: 1 });
    expect(denied.stderr).toContain("refuses the login");
  });

  test("the real chat-handler keeps conversations with nothing but its permissions", async () => {
    const { stdout } = await handlers(["permissions", "chat-handler"]);
    const folder = await mkdtemp(join(tmpdir(), "permissions-"));
    try {
      await using nats = await startNats({
        config: `log_file: ${JSON.stringify(join(folder, "log"))}
          authorization { users: [
            { user: admin, password: secret }
            { user: chat, password: secret, ${stdout.replaceAll(/^#.*$/gm, "")} }
          ] }\n`,
      });
      await using model = await startModelServer();
      const asAdmin = { NATS_URL: nats.url, NATS_USER: "admin", NATS_PASSWORD: "secret" };
      expect(await handlers(["provision"], { env: asAdmin })).toMatchObject({ code: 0 });
      const models = { LLM_URL: model.url, EMBEDDINGS_URL: model.url, RERANKER_URL: model.url };
      await using running = startHandlers(["up", "chat-handler", "--json"], {
        env: { ...models, NATS_URL: nats.url, NATS_USER: "chat", NATS_PASSWORD: "secret", PROVISION: "bind" },
      });
      await once(running.stdout, "data");
      for (const query of ["first", "second"]) {
        const request = JSON.stringify({ query, session_id: "s", user_id: "u", enable_rag: false });
        const way = query === "first" ? ["ChatService.Chat", request] : [request, "--subject", "ai.chat.request"];
        expect(await handlers(["call", ...way], { env: asAdmin })).toMatchObject({ code: 0 });
      }
      const asked = model.of("chat").at(-1)?.body["messages"];
      expect(JSON.stringify(asked)).toContain("first"); // the earlier turn came from the bucket
      running.kill("SIGTERM");
      expect(await running.exited).toBe(0);
      const log = await readFile(join(folder, "log"), "utf8");
      expect(log.split("\n").filter((line) => line.includes("Violation"))).toEqual([]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test("--json and an installation", async () => {
    const ran = await handlers(["permissions", "user", "u1", "--json", "--installation", "blue"]);
    expect(documents(ran.stdout)).toMatchObject([
      {
        u1: {
          publish: expect.arrayContaining(["blue.ai.chat.user.u1.message", "blue.ai.voice.user.u1.request"]),
          subscribe: expect.arrayContaining(["blue.ai.chat.user.u1.response.>", "_INBOX_u1.>"]),
        },
      },
    ]);
    const all = await handlers(["permissions", "--json"]);
    expect(Object.keys(documents(all.stdout)[0] ?? {})).toContain("tts-module");
  });

  test.each([
    [["user"], 2],
    [["user", "*"], 1],
    [["nobody"], 1],
  ])("%j makes no sense", async (args, code) => {
    expect(await handlers(["permissions", ...args])).toMatchObject({ code, stdout: "" });
  });
});
