// What one instance costs before it does anything: time to readiness beside bare node, and memory before the first request.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { bundled, startGo, type Bench, type Row } from "../support/bench.ts";
import { startCollector } from "../support/collector.ts";
import { finish, median, memory, start } from "../support/process.ts";

interface Service {
  readonly name: string;
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
}

const services: readonly Service[] = [
  { name: "chat-handler", folder: "services/chat-handler", env: { LLM_URL: "http://127.0.0.1:9" } },
  { name: "echo", folder: "bench/echo", env: {} },
];

/** After this time idle memory is taken, ms. */
const restMs = 1500;

export async function startAndMemory(bench: Bench): Promise<Row[]> {
  using collector = await startCollector();
  const folder = await mkdtemp(join(tmpdir(), "bench-"));
  const empty = join(folder, "empty.cjs");
  await writeFile(empty, "");
  const env = (service: Service) => ({
    ...service.env,
    NATS_URL: bench.nats.url,
    INSTALLATION: "idle",
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
  });
  const bare: number[] = [];
  const go: number[] = [];
  const ready = new Map(services.map(({ name }) => [name, [] as number[]]));
  try {
    for (const service of services) await (await start(bundled(service.folder, env(service)))).stop(); // provisions
    for (let round = 0; round < (bench.quick ? 3 : 15); round += 1) {
      bare.push((await finish({ file: process.execPath, args: [empty], place: "measured" })).ms);
      for (const service of services) {
        await using running = await start(bundled(service.folder, env(service)));
        ready.get(service.name)?.push(running.readyMs);
      }
      const peer = await startGo(bench, { MODE: "echo", SUBJECT: "idle.go" });
      if (peer) go.push(peer.readyMs);
      await peer?.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }

  const rows: Row[] = services.map(({ name }): Row => {
    const ms = median(ready.get(name) ?? []);
    const ratio = ms / median(bare);
    return {
      figure: `start of ${name}: spawn to ready, telemetry on`,
      ours: `${ms.toFixed(0)} ms`,
      raw: `${median(bare).toFixed(0)} ms (node empty.cjs)`,
      ...(go.length > 0 && { go: `${median(go).toFixed(0)} ms` }),
      target: `${ratio.toFixed(2)} × node empty.cjs (≤ 2.2)`,
      met: ratio <= 2.2,
    };
  });
  for (const service of services) {
    const taken: ReturnType<typeof memory>[] = [];
    for (let round = 0; round < (bench.quick ? 1 : 5); round += 1) {
      await using running = await start(bundled(service.folder, env(service)));
      await sleep(restMs);
      taken.push(memory(running.pid));
    }
    const [rss, anon] = [median(taken.map((each) => each.rss)), median(taken.map((each) => each.anon))];
    rows.push(
      {
        figure: `idle RSS of ${service.name}, telemetry on`,
        ours: `${rss.toFixed(1)} MB`,
        target: "≤ 65 MB",
        met: rss <= 65,
      },
      {
        figure: `idle private memory (RssAnon) of ${service.name}`,
        ours: `${anon.toFixed(1)} MB`,
        target: "≤ 25 MB",
        met: anon <= 25,
      },
    );
  }
  return rows;
}
