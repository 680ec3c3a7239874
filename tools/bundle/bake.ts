// Writes V8's code caches beside the files of a bundle: starts it against a real nats-server, waits until it is ready, stops it.
// Usage: node tools/bundle/bake.ts FOLDER [NAME=VALUE …]; dist/ is in FOLDER, the variables are those that the service cannot start without.
// Where no nats-server can be had the bundle stays as it is: it only starts slower.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MissingArtifact } from "@pipeline/artifacts";
import { startNats } from "@pipeline/testkit";

/** Longest time for the whole run, ms. */
const limitMs = 60_000;

async function bake(folder: string, given: Readonly<Record<string, string>>): Promise<void> {
  await using nats = await startNats();
  const port = await freePort();
  const child = spawn(
    process.execPath,
    // The seed makes two bakes of one bundle equal; readers of the cache need not have it.
    ["--random-seed=1", "--require", join(import.meta.dirname, "bake-hook.cjs"), join(folder, "dist", "service.cjs")],
    {
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9", // nobody listens: telemetry is to be loaded, not sent
        ...given,
        NATS_URL: nats.url,
        HEALTH_HOST: "127.0.0.1",
        HEALTH_PORT: String(port),
        LOG_LEVEL: "error",
      },
      stdio: ["ignore", "ignore", "inherit"],
      timeout: limitMs,
    },
  );
  const ended = once(child, "exit");
  const running = () => child.exitCode === null && child.signalCode === null;
  while (running() && !(await isReady(`http://127.0.0.1:${port}/readyz`))) await sleep(50);
  await sleep(500); // what is loaded after readiness
  child.kill("SIGTERM");
  const [code, signal] = (await ended) as [number | null, NodeJS.Signals | null];
  if (code !== 0) throw new Error(`${folder}: the bundle ended with ${String(signal ?? code)} instead of 0`);
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(url);
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false; // not listening yet
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

const [, , folder, ...variables] = process.argv;
if (folder === undefined) throw new Error("say which folder holds dist/: node tools/bundle/bake.ts FOLDER");
try {
  await bake(resolve(folder), Object.fromEntries(variables.map((text) => text.split(/=(.*)/s, 2))));
} catch (error) {
  if (!(error instanceof MissingArtifact)) throw error;
  console.error(`no code caches: ${error.message}`);
}
