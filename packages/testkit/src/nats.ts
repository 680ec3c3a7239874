// A real nats-server for tests: JetStream on, ports chosen by the system, everything on loopback and in a temporary folder.
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ConnectionOptions, NatsConnection } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import { fetchArtifact } from "@pipeline/artifacts";

export interface NatsOptions {
  /** Text that is added to the server's configuration: accounts, permissions, limits. */
  readonly config?: string;
  /** Port for clients. Default: one that the system chooses. */
  readonly port?: number;
  /** Whether to listen for WebSocket clients as well. Default false. */
  readonly websocket?: boolean;
}

/** A running server. Disposing kills it and removes its folder; connections that it gave are closed first. */
export interface NatsFixture extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly monitorUrl: string;
  readonly websocketUrl: string | undefined;
  readonly pid: number;
  /** A connection that is closed with the fixture. */
  readonly connect: (options?: ConnectionOptions) => Promise<NatsConnection>;
  /** SIGKILL; resolves when it is gone. */
  readonly kill: () => Promise<void>;
  /** Stops it, if it runs, and starts it again on the same port with the same store. */
  readonly restart: () => Promise<void>;
  /** SIGSTOP and SIGCONT. */
  readonly pause: () => void;
  readonly resume: () => void;
}

interface Ports {
  nats: string[];
  monitoring: string[];
  websocket?: string[];
}

/** Starts a server and resolves when it takes connections. */
export async function startNats(options: NatsOptions = {}): Promise<NatsFixture> {
  const binary = await fetchArtifact("nats-server");
  const folder = await mkdtemp(join(tmpdir(), "nats-test-"));
  const connections: NatsConnection[] = [];
  let server = await launch(binary, folder, options);
  const { port, monitorPort, websocketPort } = server;
  const fixed = { ...options, port, monitorPort, ...(websocketPort !== undefined && { websocketPort }) };
  const kill = async () => {
    const { process: child } = server;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGCONT");
    child.kill("SIGKILL");
    await gone;
  };
  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    monitorUrl: `http://127.0.0.1:${monitorPort}`,
    websocketUrl: websocketPort === undefined ? undefined : `ws://127.0.0.1:${websocketPort}`,
    get pid() {
      return server.process.pid ?? -1;
    },
    async connect(given = {}) {
      const connection = await connect({
        servers: `127.0.0.1:${port}`,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 100,
        noAsyncTraces: true,
        ...given,
      });
      connections.push(connection);
      return connection;
    },
    kill,
    async restart() {
      await kill();
      server = await launch(binary, folder, fixed);
    },
    pause: () => void server.process.kill("SIGSTOP"),
    resume: () => void server.process.kill("SIGCONT"),
    async [Symbol.asyncDispose]() {
      server.process.kill("SIGCONT");
      for (const connection of connections) await connection.close();
      await kill();
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

interface Launched {
  process: ChildProcess;
  port: number;
  monitorPort: number;
  websocketPort: number | undefined;
}

async function launch(
  binary: string,
  folder: string,
  {
    config = "",
    port = -1,
    websocket = false,
    ...rest
  }: NatsOptions & { monitorPort?: number; websocketPort?: number },
): Promise<Launched> {
  const { monitorPort = -1, websocketPort = -1 } = rest;
  const file = join(folder, "nats.conf");
  await writeFile(
    file,
    `listen: "127.0.0.1:${port}"\nhttp: "127.0.0.1:${monitorPort}"\nports_file_dir: ${JSON.stringify(folder)}\n` +
      `jetstream { store_dir: ${JSON.stringify(join(folder, "store"))}, max_memory_store: 1GB, max_file_store: 8GB }\n` +
      (websocket ? `websocket { listen: "127.0.0.1:${websocketPort}", no_tls: true }\n` : "") +
      config,
  );
  const child = spawn(binary, ["-c", file], { stdio: ["ignore", "ignore", "pipe"], env: {} });
  let said = "";
  child.stderr.on("data", (data: Buffer) => {
    said = (said + data.toString()).slice(-4000);
  });
  const ports = await readPorts(join(folder, `${basename(binary)}_${child.pid}.ports`), child, () => said);
  const client = new URL(ports.nats[0] ?? "");
  const monitor = new URL(ports.monitoring[0] ?? "");
  await healthy(`${monitor.origin}/healthz`, child, () => said);
  return {
    process: child,
    port: Number(client.port),
    monitorPort: Number(monitor.port),
    websocketPort: ports.websocket?.[0] === undefined ? undefined : Number(new URL(ports.websocket[0]).port),
  };
}

async function readPorts(file: string, child: ChildProcess, said: () => string): Promise<Ports> {
  for (let tries = 0; tries < 3000; tries += 1) {
    if (child.exitCode !== null) throw new Error(`nats-server ended at once:\n${said()}`);
    if (existsSync(file)) {
      const text = await readFile(file, "utf8");
      if (text.trimEnd().endsWith("}")) return JSON.parse(text) as Ports;
    }
    await sleep(10);
  }
  throw new Error(`nats-server told no ports within 30 s:\n${said()}`);
}

async function healthy(url: string, child: ChildProcess, said: () => string): Promise<void> {
  for (let tries = 0; tries < 3000; tries += 1) {
    if (child.exitCode !== null) throw new Error(`nats-server ended at once:\n${said()}`);
    const ok = await fetch(url).then(
      async (response) => {
        await response.arrayBuffer();
        return response.ok;
      },
      () => false,
    );
    if (ok) return;
    await sleep(10);
  }
  throw new Error(`nats-server was not healthy within 30 s:\n${said()}`);
}
