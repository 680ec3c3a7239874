// The snippets as an operator uses them: pasted into a server's configuration. What they allow and deny is tested with the library.
import { toBinary, create } from "@bufbuild/protobuf";
import { LoginEventSchema } from "@pipeline/messages";
import { startNats } from "@pipeline/testkit";
import { describe, expect, test } from "vitest";
import { documents, handlers } from "./support/handlers.ts";
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
