// Tokens from a model's server to readers over NATS: many slow streams at once, the share of a core that they take and the time that they add.
import { join } from "node:path";
import { EchoService } from "../../packages/handler-base/test/gen/echo/v1/echo_pb.ts";
import { apply, startEcho, type Bench, type Row } from "../support/bench.ts";
import { cpuUs, median, memory, start } from "../support/process.ts";

const streams = 200;
const paceMs = 20;

export async function streaming(bench: Bench): Promise<Row[]> {
  await using llm = await start({
    file: process.execPath,
    args: [join(import.meta.dirname, "../peers/llm/main.ts")],
    env: { PACE_MS: String(paceMs) },
    place: "load",
  });
  const { port } = JSON.parse(llm.line) as { port: number };
  const url = `http://127.0.0.1:${port}`;
  await using service = await startEcho(bench, { INSTALLATION: "sse", CONCURRENCY: "256", LLM_URL: url });
  const subject = `sse.${EchoService.typeName}.${EchoService.method.count.name}`;
  const tokens = (bench.quick ? 2000 : 5000) / paceMs;
  await apply(bench, { kind: "streams", subject, streams, tokens: 25 }); // warm-up
  const through: { core: number; p50: number; p99: number }[] = [];
  const direct: number[] = [];
  for (let round = 0; round < Math.min(3, bench.rounds); round += 1) {
    direct.push((await apply(bench, { kind: "direct", url, streams, tokens })).p50);
    const before = cpuUs(service.pid);
    const seen = await apply(bench, { kind: "streams", subject, streams, tokens });
    if (seen.count !== streams * tokens) throw new Error(`${seen.count} tokens of ${streams * tokens} arrived`);
    through.push({ core: (cpuUs(service.pid) - before) / (seen.seconds * 1e6), p50: seen.p50, p99: seen.p99 });
  }
  const core = median(through.map((each) => each.core));
  const added = median(through.map((each) => each.p50)) - median(direct);
  const figure = `SSE to NATS, ${streams} streams × ${1000 / paceMs} tokens/s`;
  return [
    { figure: `${figure}: share of a core`, ours: `${(core * 100).toFixed(0)} %`, target: "≤ 70 %", met: core <= 0.7 },
    {
      figure: `${figure}: added p50`,
      ours: `${added.toFixed(2)} ms (p99 in all ${median(through.map((each) => each.p99)).toFixed(1)} ms)`,
      target: "≤ 0.8 ms",
      met: added <= 0.8,
    },
    { figure: `${figure}: RSS after`, ours: `${memory(service.pid).rss.toFixed(1)} MB`, target: "", met: undefined },
  ];
}
