// The local stack as a newcomer runs it: real nats-server, real embedded inference, the real chat-handler.
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { startModelServer, startNats } from "@pipeline/testkit";
import { describe, expect, test } from "vitest";
import { handlers, startHandlers, type Running } from "./support/handlers.ts";

interface Urls {
  readonly nats: string;
  readonly websocket: string;
  readonly inference: string;
  readonly health: Readonly<Record<string, string>>;
}

/** First line of standard output. */
async function firstLine({ stdout }: Running): Promise<string> {
  let text = "";
  for await (const part of stdout.setEncoding("utf8").iterator({ destroyOnReturn: false })) {
    text += String(part);
    if (text.includes("\n")) break;
  }
  return text.split("\n")[0] ?? "";
}

/** Pids of the processes that a process has started, by a word of their command line. */
async function children(pid: number): Promise<Map<string, number>> {
  const { stdout } = await promisify(execFile)("ps", ["-A", "-o", "pid=,ppid=,args="]);
  const found = new Map<string, number>();
  for (const line of stdout.split("\n")) {
    const [own, parent, ...args] = line.trim().split(/\s+/);
    if (Number(parent) !== pid) continue;
    const name = ["nats-server", "inference-dev", "chat-handler"].find((word) => args.join(" ").includes(word));
    if (name !== undefined) found.set(name, Number(own));
  }
  return found;
}

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

async function until(done: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + 60_000; !(await done()); await sleep(50)) {
    if (Date.now() > end) throw new Error(`not within a minute: ${what}`);
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

describe("up", () => {
  test("starts everything on free ports, answers, and Ctrl-C stops all of it", async () => {
    const blocker = createServer().listen(4222, "127.0.0.1");
    await Promise.race([once(blocker, "listening"), once(blocker, "error").catch(() => undefined)]); // taken is as good
    await using running = startHandlers(["up", "--json"]);
    const errors: string[] = [];
    running.stderr.setEncoding("utf8").on("data", (text: string) => errors.push(text));
    const urls = JSON.parse(await firstLine(running)) as Urls;
    expect(new URL(urls.nats).port).not.toBe("4222");
    expect(urls.websocket).toMatch(/^ws:\/\/127\.0\.0\.1:\d+$/);
    const called = await handlers(
      ["call", "ChatService.Chat", '{"query":"What is a dead letter?"}', "--server", urls.nats],
      {},
    );
    expect(called).toMatchObject({ code: 0 });
    expect(called.stdout).toContain("Sources");
    const pids = await children(running.pid);
    expect([...pids.keys()].toSorted()).toEqual(["chat-handler", "inference-dev", "nats-server"]);
    running.kill("SIGINT");
    expect(await running.exited).toBe(0);
    expect([...pids.values()].filter(isAlive)).toEqual([]);
    expect(errors.join("")).toContain(
      `port 4222 was taken: set NATS_URL=${urls.nats} for handlers in another terminal\n`,
    );
    expect(errors.join("")).not.toMatch(/INF|WRN|"level":"(warn|error)"/);
    blocker.close();
  });

  test("a part that is killed ends it with one line that says which and how; asked twice it ends at once", async () => {
    await using broken = startHandlers(["up"]);
    await firstLine(broken);
    const pids = await children(broken.pid);
    const said = broken.stderr.setEncoding("utf8").toArray();
    process.kill(pids.get("inference-dev") ?? -1, "SIGKILL");
    expect(await broken.exited).toBe(1);
    expect((await said).join("")).toContain("handlers: inference-dev ended (SIGKILL)");
    expect([...pids.values()].filter(isAlive)).toEqual([]);

    const folder = await mkdtemp(join(tmpdir(), "hurried-"));
    await using hurried = startHandlers(["up"], { env: { TMPDIR: folder } });
    await firstLine(hurried);
    const others = await children(hurried.pid);
    const stuck = others.get("nats-server") ?? -1;
    process.kill(stuck, "SIGSTOP"); // it will not react to SIGTERM
    hurried.kill("SIGINT");
    await sleep(1200); // sooner it would be the same request
    hurried.kill("SIGINT");
    expect(await hurried.exited).toBe(130);
    await until(() => ![...others.values()].some(isAlive), "children are gone");
    expect((await readdir(folder)).filter((name) => name.startsWith("handlers-nats-"))).toEqual([]);
    await rm(folder, { recursive: true });
  });

  test("what variables point elsewhere is not started; an Ollama that runs is offered only where it helps", async () => {
    await using nats = await startNats();
    await using llm = await startModelServer();
    const ollama = createServer((_, response) => response.end('{"models":[{"name":"llama3.2:1b"}]}'));
    ollama.listen(0, "127.0.0.1");
    await once(ollama, "listening");
    const host = `127.0.0.1:${(ollama.address() as AddressInfo).port}`;
    const models = { EMBEDDINGS_URL: llm.url, RERANKER_URL: llm.url, OLLAMA_HOST: host, NATS_URL: nats.url };
    for (const [env, offered] of [
      [{ ...models, LLM_URL: llm.url }, false],
      [models, true],
    ] as const) {
      await using running = startHandlers(["up", "--json"], { env });
      const said = running.stderr.setEncoding("utf8").toArray();
      const urls = JSON.parse(await firstLine(running)) as Urls;
      const pids = await children(running.pid);
      expect([...pids.keys()].toSorted()).toEqual(offered ? ["chat-handler", "inference-dev"] : ["chat-handler"]);
      expect(urls).toMatchObject({ nats: nats.url, websocket: "" });
      running.kill("SIGTERM");
      expect(await running.exited).toBe(0);
      const offer = `LLM_URL=http://${host} LLM_MODEL=llama3.2:1b`;
      expect((await said).join("").includes(offer)).toBe(offered);
      expect(await isListening(nats.port)).toBe(true);
    }
    ollama.close();
  });

  test("a service that cannot start is one line with its last words, and nothing stays", async () => {
    await using nats = await startNats();
    await using model = await startModelServer();
    const models = { LLM_URL: model.url, EMBEDDINGS_URL: model.url, RERANKER_URL: model.url, NATS_URL: nats.url };
    const ran = await handlers(["up"], { env: { ...models, LLM_TIMEOUT: "never" } });
    expect(ran.code).toBe(1);
    const last = ran.stderr.trimEnd().split("\n").at(-1);
    expect(last).toMatch(/^handlers: chat-handler ended \(exit code 1\): .*LLM_TIMEOUT/);
  });

  test.each([
    [["up", "no-handler"], {}, "there is no service no-handler; there is chat-handler"],
    [["up", "--llm", "x.gguf"], { LLM_URL: "http://127.0.0.1:1" }, "keep one of them"],
    [["dev"], {}, "handlers: name the service to work on: chat-handler; see: handlers dev --help\n"],
    [["start", "now"], {}, "handlers: unexpected argument now; see: handlers start --help\n"],
    [["start", "--llm", "/nowhere.gguf"], {}, "handlers: --llm names /nowhere.gguf, which is no file\n"],
    [["new"], {}, "handlers: name the new service; see: handlers new --help\n"],
  ])("%j makes no sense", async (args, env, text) => {
    const ran = await handlers(args, { env });
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain(text);
  });
});

describe("start", () => {
  test("--once --json prints one document with a cited answer", async () => {
    const { code, stdout } = await handlers(["start", "--once", "--json"]);
    const document = JSON.parse(stdout) as Record<string, unknown>;
    expect(code).toBe(0);
    expect(document).toMatchObject({
      answer: expect.stringMatching(/\[1\]/),
      engines: { llm: expect.stringContaining("extractive") },
      timings: { startMs: expect.any(Number), firstTokenMs: expect.any(Number), totalMs: expect.any(Number) },
    });
    expect(document["sources"]).toContainEqual(expect.objectContaining({ cited: true }));
  });
});

describe("dev", () => {
  test("starts the service anew when a source changes, and survives one that cannot start", async () => {
    await using nats = await startNats();
    await using model = await startModelServer();
    const models = { LLM_URL: model.url, EMBEDDINGS_URL: model.url, RERANKER_URL: model.url, NATS_URL: nats.url };
    // A file of the test's own among the sources: the service does not import it, so it may hold anything.
    const file = join(import.meta.dirname, "../../../services/chat-handler/src", `.dev-test-${process.pid}.ts`);
    const folder = await mkdtemp(join(tmpdir(), "dev-"));
    const secret = join(folder, "key");
    await writeFile(secret, "k");
    await using running = startHandlers(["dev", "chat-handler"], { env: { ...models, LLM_API_KEY_FILE: secret } });
    let said = "";
    running.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
    const count = (text: string) => said.split(text).length - 1;
    try {
      await until(() => count("chat-handler is ready") === 1, "first start");
      const first = (await children(running.pid)).get("chat-handler");
      await writeFile(file, "// one\n");
      await until(() => count("chat-handler is ready") === 2, "second start");
      const second = (await children(running.pid)).get("chat-handler");
      expect(second).not.toBe(first);
      expect(first !== undefined && isAlive(first)).toBe(false);
      await rm(secret); // now it cannot start
      await writeFile(file, "// two\n");
      await until(() => said.includes("starts again with the next change"), "failed start");
      expect(said).toContain("LLM_API_KEY_FILE");
      await writeFile(secret, "k");
      await writeFile(file, "// three\n");
      await until(() => count("chat-handler is ready") === 3, "third start");
      running.kill("SIGINT");
      expect(await running.exited).toBe(0);
      expect(await readFile(file, "utf8")).toContain("three");
    } finally {
      await rm(file, { force: true });
      await rm(folder, { recursive: true });
    }
  });
});
