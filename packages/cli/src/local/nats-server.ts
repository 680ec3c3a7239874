// The nats-server of the local stack: JetStream and WebSocket on loopback, in a temporary folder.
import { rmSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fetchArtifact } from "@pipeline/artifacts";
import type { Child } from "./child.ts";
import { plainEnvironment } from "./environment.ts";
import { freePort } from "./ports.ts";
import type { Parts } from "./parts.ts";

export interface LocalNats {
  readonly url: string;
  readonly websocket: string;
  readonly monitor: string;
}

const usualPort = 4222;

/** Where the local server is not where commands look for it, a line that says how they find it. */
export function natsHint(url: string): string | undefined {
  if (process.env["NATS_URL"] || url === `nats://127.0.0.1:${usualPort}`) return undefined;
  return `port ${usualPort} was taken: set NATS_URL=${url} for handlers in another terminal`;
}

/** Starts it on the usual ports where they are free. */
export async function startLocalNats(parts: Parts): Promise<LocalNats> {
  const binary = await fetchArtifact("nats-server", { signal: parts.signal, progress: parts.progress });
  const [port, websocketPort, monitorPort] = [await freePort(usualPort), await freePort(9222), await freePort(8222)];
  const folder = await mkdtemp(join(tmpdir(), "handlers-nats-"));
  const removal = { recursive: true, force: true, maxRetries: 5 } as const;
  const removeAtOnce = () => rmSync(folder, removal); // for a command line that is told twice to end
  process.once("exit", removeAtOnce);
  parts.onStop(async () => {
    await rm(folder, removal);
    process.off("exit", removeAtOnce);
  });
  const file = join(folder, "nats.conf");
  await writeFile(
    file,
    `listen: "127.0.0.1:${port}"\nhttp: "127.0.0.1:${monitorPort}"\n` +
      `jetstream { store_dir: ${JSON.stringify(join(folder, "store"))}, max_memory_store: 256MB, max_file_store: 2GB }\n` +
      `websocket { listen: "127.0.0.1:${websocketPort}", no_tls: true }\n`,
  );
  parts.progress("starting nats-server");
  const child: Child = parts.run({
    name: "nats-server",
    command: binary,
    args: ["-c", file],
    env: plainEnvironment(),
    isWorthTelling: (line) => /\[(ERR|FTL)\]/.test(line),
  });
  await parts.ready(child, `http://127.0.0.1:${monitorPort}/healthz`);
  return {
    url: `nats://127.0.0.1:${port}`,
    websocket: `ws://127.0.0.1:${websocketPort}`,
    monitor: `http://127.0.0.1:${monitorPort}`,
  };
}
