// The health server under people who mean it no good: the probes of the cluster are answered all the same, or the pod would be killed.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startHealth, type Health } from "../../src/health.ts";

let health: Health;
const sockets: Socket[] = [];

beforeAll(async () => {
  health = await startHealth({
    host: "127.0.0.1",
    port: 0,
    checks: new Map(),
    started: () => true,
    load: () => ({ inFlight: 0, queued: 0, capacity: 1 }),
    metrics: () => "metric 1\n",
  });
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await health.close();
});

async function open(): Promise<Socket> {
  const socket = connect(health.port, "127.0.0.1");
  socket.on("error", () => undefined);
  sockets.push(socket);
  await once(socket, "connect");
  return socket;
}

const probe = async (path = "/livez") =>
  (await fetch(`${health.url}${path}`, { signal: AbortSignal.timeout(5000) })).status;

/** Everything that the server says until it closes or two seconds have passed. */
async function said(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (data: Buffer) => (text += data.toString("latin1")));
  await new Promise<void>((resolve) => {
    socket.once("close", () => resolve());
    setTimeout(resolve, 2000);
  });
  return text;
}

describe("a probe is answered", { timeout: 30_000 }, () => {
  test("while 300 connections say nothing, or their head line by line", async () => {
    for (let count = 0; count < 300; count += 1) {
      const socket = await open();
      if (count % 2 === 0) socket.write("GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    }
    expect(await probe()).toBe(200);
    expect(await probe("/readyz")).toBe(200);
  });

  test("after heads without end, bodies without end and nonsense", async () => {
    const heads = [
      `GET /${"x".repeat(100_000)} HTTP/1.1\r\n\r\n`,
      `GET / HTTP/1.1\r\n${"X-Y: z\r\n".repeat(10_000)}\r\n`,
      "POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nbody",
      "POST /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n",
      "\0\0\0\0",
      "GET / HTTP/9.9\r\n\r\n",
      "GET /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n",
      "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /livez HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    ];
    for (const head of heads) {
      const socket = await open();
      socket.write(head);
      expect(await said(socket)).not.toContain("metric 1");
    }
    expect(await probe()).toBe(200);
  });

  test("1000 times in one pipe, and once more beside it", async () => {
    const socket = await open();
    let text = "";
    socket.on("data", (data: Buffer) => (text += data.toString("latin1")));
    socket.write("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000));
    expect(await probe()).toBe(200);
    await expect.poll(() => text.split("HTTP/1.1 200").length - 1, { timeout: 10_000 }).toBe(1000);
  });

  test.each(["/../etc/passwd", "//livez", "/livez/", "/%6civez", "/livez%00", "/__proto__", "*"])(
    "and %s is not found",
    async (path) => {
      const socket = await open();
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
      expect(await said(socket)).toMatch(/^HTTP\/1\.1 404 /);
    },
  );
});
