// Request-reply: the whole framework beside a raw client and the Go peer, each on a subject of its own, taking turns.
import { EchoService } from "../../packages/handler-base/test/gen/echo/v1/echo_pb.ts";
import { costOf, apply, startEcho, startGo, startRaw, type Bench, type Cost, type Row } from "../support/bench.ts";
import { startCollector } from "../support/collector.ts";
import { median, memory, type Started } from "../support/process.ts";

const method = `${EchoService.typeName}.${EchoService.method.say.name}`;

interface Variant {
  readonly name: "ours" | "traced" | "raw" | "go";
  readonly subject: string;
  readonly process: Started;
}

type Costs = Partial<Record<Variant["name"], readonly Cost[]>>;

export async function requestReply(bench: Bench): Promise<Row[]> {
  using collector = await startCollector();
  await using stack = new AsyncDisposableStack();
  const variants: Variant[] = [];
  const add = (name: Variant["name"], subject: string, process: Started | undefined) => {
    if (process) variants.push({ name, subject, process: stack.use(process) });
  };
  add("ours", `ours.${method}`, await startEcho(bench, { INSTALLATION: "ours", CONCURRENCY: "256" }));
  const traced = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_TRACES_SAMPLER: "always_on" };
  add("traced", `traced.${method}`, await startEcho(bench, { INSTALLATION: "traced", CONCURRENCY: "256", ...traced }));
  add("raw", `raw.${method}`, await startRaw(bench, { MODE: "echo", SUBJECT: `raw.${method}` }));
  add("go", `go.${method}`, await startGo(bench, { MODE: "echo", SUBJECT: `go.${method}` }));

  const chat = await inTurns(bench, variants, { size: 900, bytes: false });
  const audio = await inTurns(bench, variants, { size: 16_384, bytes: true });
  const paced = await pacedCosts(bench, variants);
  const load = Object.fromEntries(variants.map(({ name, process }) => [name, memory(process.pid)]));

  const cpu = (costs: Costs, name: Variant["name"]) => median((costs[name] ?? []).map((each) => each.cpu));
  const latency = (costs: Costs, name: Variant["name"]) => median((costs[name] ?? []).map((each) => each.p50));
  const us = (value: number) => (Number.isNaN(value) ? "–" : `${value.toFixed(1)} µs`);
  const ms = (value: number) => (Number.isNaN(value) ? "–" : `${value.toFixed(2)} ms`);
  const cost = (figure: string, costs: Costs, overGo: number | undefined): Row => {
    const [ours, raw, go] = [cpu(costs, "ours"), cpu(costs, "raw"), cpu(costs, "go")];
    const parts = [`${(ours / raw).toFixed(2)} × raw (≤ 1.35)`];
    if (overGo !== undefined && go > 0) parts.push(`${(ours / go).toFixed(2)} × Go (≤ ${overGo})`);
    const met = ours <= 1.35 * raw && (overGo === undefined || !(go > 0) || ours <= overGo * go);
    return { figure, ours: us(ours), raw: us(raw), go: us(go), target: parts.join(", "), met };
  };
  const span = cpu(chat, "traced") - cpu(chat, "ours");
  const [p50, goP50] = [latency(paced, "ours"), latency(paced, "go")];
  const after = load["ours"]?.rss ?? Number.NaN;
  return [
    cost("chat 1 KB request-reply, CPU per message", chat, 2.2),
    {
      figure: "the same with a recorded span",
      ours: us(cpu(chat, "traced")),
      target: `+${span.toFixed(1)} µs (≤ +10)`,
      met: span <= 10,
    },
    cost("audio 16 KB request-reply, CPU per message", audio, undefined),
    {
      figure: "p50 at 1000 msg/s",
      ours: ms(p50),
      raw: ms(latency(paced, "raw")),
      go: ms(goP50),
      target: Number.isNaN(goP50) ? "≤ 1.15 × Go" : `${(p50 / goP50).toFixed(2)} × Go (≤ 1.15)`,
      met: Number.isNaN(goP50) ? undefined : p50 <= 1.15 * goP50,
    },
    {
      figure: "RSS after saturation (256 in flight)",
      ours: `${after.toFixed(1)} MB`,
      raw: `${load["raw"]?.rss.toFixed(1) ?? "–"} MB`,
      go: load["go"] ? `${load["go"].rss.toFixed(1)} MB` : "–",
      target: "≤ 80 MB",
      met: after <= 80,
    },
  ];
}

async function inTurns(
  bench: Bench,
  variants: readonly Variant[],
  body: { size: number; bytes: boolean },
): Promise<Costs> {
  const load = (subject: string, seconds: number) =>
    ({ kind: "closed", subject, inFlight: 256, seconds, ...body }) as const;
  for (const { subject } of variants) await apply(bench, load(subject, bench.quick ? 1 : 2)); // warm-up
  return collect(bench, variants, ({ subject, process }) => costOf(bench, process.pid, load(subject, bench.seconds)));
}

function pacedCosts(bench: Bench, variants: readonly Variant[]): Promise<Costs> {
  const load = (subject: string) =>
    ({ kind: "open", subject, rate: 1000, seconds: bench.seconds, size: 900, bytes: false }) as const;
  return collect(bench, variants, ({ subject, process }) => costOf(bench, process.pid, load(subject)));
}

async function collect(
  bench: Bench,
  variants: readonly Variant[],
  measure: (variant: Variant) => Promise<Cost>,
): Promise<Costs> {
  const all: Partial<Record<Variant["name"], Cost[]>> = {};
  for (let round = 0; round < bench.rounds; round += 1) {
    for (const variant of variants) (all[variant.name] ??= []).push(await measure(variant));
  }
  return all;
}
