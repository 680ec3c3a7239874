import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { startNats, startNatsCluster } from "@pipeline/testkit";
import { describe, expect, test } from "vitest";
import { handlers } from "./support/handlers.ts";

interface Finding {
  readonly level: string;
  readonly what: string;
  readonly fix?: string;
}

async function examine(env: Readonly<Record<string, string>>, ...args: readonly string[]) {
  const ran = await handlers(["doctor", "--json", ...args], { env });
  const findings = JSON.parse(ran.stdout) as Finding[];
  return { code: ran.code, findings, bad: findings.filter(({ level }) => level !== "ok") };
}

/** A server that answers every request with one status. */
async function answering(status: number): Promise<AsyncDisposable & { url: string }> {
  const server: Server = createServer((_, response) => response.writeHead(status).end("{}"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, "close");
    },
  };
}

test("a service that there is not is one line with those that there are", async () => {
  const { code, stdout, stderr } = await handlers(["doctor", "nosuch"]);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toMatch(/there is no service nosuch; there is chat-handler, .*\w\n$/);
  expect(stderr).not.toContain("mend this");
});

describe("doctor of a cluster", () => {
  test("finds nothing wrong with a provisioned one, and what is missing or changed in another", async () => {
    await using nats = await startNats();
    const env = { NATS_URL: nats.url };
    const empty = await examine(env, "--cluster");
    expect(empty).toMatchObject({ code: 0, bad: [] });
    expect(empty.findings.at(-1)?.what).toMatch(/^not provisioned: chat-handler/);
    expect(await examine(env, "--cluster", "chat-handler")).toMatchObject({
      code: 1,
      bad: [{ level: "error", what: "chat-handler is not provisioned", fix: "run: handlers provision chat-handler" }],
    });

    expect(await handlers(["provision", "chat-handler"], { env })).toMatchObject({ code: 0 });
    expect(await examine(env, "--cluster", "chat-handler")).toMatchObject({ code: 0, bad: [] });

    const jsm = await jetstreamManager(await nats.connect());
    await jsm.consumers.delete("AI_CHAT_REQUESTS", "chat-handler_ChatService-Chat_events");
    await jsm.streams.update("COMPANIONS_CHAT", { max_age: 60_000_000_000 });
    const { code, bad } = await examine(env, "--cluster");
    expect(code).toBe(1);
    expect(bad.map(({ level }) => level)).toEqual(["error", "error"]);
    expect(bad.map(({ what }) => what).join("\n")).toContain(
      "AI_CHAT_REQUESTS/chat-handler_ChatService-Chat_events is missing",
    );
    expect(bad.map(({ what }) => what).join("\n")).toContain("COMPANIONS_CHAT max_age is 1m, the contract says 30d");
    expect(bad[0]?.fix).toBe("run: handlers provision chat-handler");
  });

  test("says when NATS is away, refuses the login, or has no JetStream", async () => {
    const away = await examine({ NATS_URL: "nats://user:hunter2@127.0.0.1:1" }, "--cluster");
    expect(away).toMatchObject({ code: 1, bad: [{ level: "error" }] });
    expect(away.bad[0]?.what).toContain("nats://127.0.0.1:1 cannot be reached");
    expect(JSON.stringify(away)).not.toContain("hunter2");
    await using nats = await startNats({
      config: "accounts { A: { users: [{ user: a, password: secret }] } }\n",
    });
    const refused = await examine({ NATS_URL: nats.url }, "--cluster");
    expect(refused.bad[0]?.what).toContain("refuses the login");
    const off = await examine({ NATS_URL: nats.url, NATS_USER: "a", NATS_PASSWORD: "secret" }, "--cluster");
    expect(off).toMatchObject({ code: 1, bad: [{ level: "error" }] });
    expect(off.bad[0]?.what).toContain("JetStream does not answer");
  });

  test("warns about one copy on a cluster", async () => {
    await using cluster = await startNatsCluster();
    const env = { NATS_URL: cluster.urls, STREAM_REPLICAS: "1" };
    const ran = await handlers(["provision", "chat-handler"], { env });
    expect(ran).toMatchObject({ code: 0 });
    const { code, bad } = await examine(env, "--cluster", "chat-handler");
    expect(code).toBe(0);
    expect(bad.length).toBeGreaterThan(3);
    for (const { level, what } of bad) {
      expect(level).toBe("warning");
      expect(what).toContain("has one copy on a cluster");
    }
  });
});

describe("doctor of endpoints", () => {
  test("says which answer, want a key, fail or are away, without passwords", async () => {
    await using good = await answering(200);
    await using locked = await answering(401);
    await using broken = await answering(503);
    const { code, findings } = await examine(
      {
        LLM_URL: `${good.url}/v1`,
        EMBEDDINGS_URL: locked.url,
        RERANKER_URL: broken.url,
        MILVUS_URL: "http://user:hunter2@127.0.0.1:1",
      },
      "--cluster",
    );
    expect(code).toBe(1);
    const about = (name: string) => findings.find(({ what }) => what.startsWith(name));
    expect(about("LLM_URL")).toMatchObject({ level: "ok" });
    expect(about("EMBEDDINGS_URL")).toMatchObject({ level: "warning" });
    expect(about("RERANKER_URL")).toMatchObject({ level: "error", what: expect.stringContaining("status 503") });
    expect(about("MILVUS_URL")).toMatchObject({ level: "error", fix: "start the server or change MILVUS_URL" });
    expect(JSON.stringify(findings)).not.toContain("hunter2");
  });

  test("a variable that is no URL is one error among the others", async () => {
    const { code, bad } = await examine({ LLM_URL: "not a url" }, "--cluster");
    expect(code).toBe(1);
    expect(bad.filter(({ level }) => level === "error")).toMatchObject([{ what: expect.stringContaining("LLM_URL") }]);
  });
});

describe("doctor of a laptop", () => {
  test("says what there is, what is missing and how to get it", async () => {
    const folder = await mkdtemp(join(tmpdir(), "doctor-"));
    try {
      const fine = await examine({ PIPELINE_CACHE: join(folder, "cache") });
      expect(fine.findings.map(({ what }) => what).join("\n")).toContain(
        `cache folder ${join(folder, "cache")} is writable`,
      );
      const file = join(folder, "file");
      await writeFile(file, "");
      const poor = await examine({ PATH: folder, PIPELINE_CACHE: join(file, "cache"), MINILM_MODEL: "/nowhere.onnx" });
      expect(poor.code).toBe(1);
      const text = poor.bad.map(({ level, what }) => `${level}: ${what}`).join("\n");
      expect(text).toContain("warning: there is no python3");
      expect(text).toContain("error: cache folder");
      expect(text).toContain("error: nats-server");
      expect(text).toContain("error: MINILM_MODEL names /nowhere.onnx, which is not there");
      expect(text).toContain("warning: NATS at nats://127.0.0.1:4222 cannot be reached");
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
