// The durable path: a backlog pulled with explicit acknowledgement at the same number in flight, and publishing with acknowledgement.
import { AckPolicy, jetstreamManager, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import { join } from "node:path";
import { apply, nodeFlags, startEcho, startGo, startRaw, type Bench, type Row } from "../support/bench.ts";
import { cpuUs, finish, launchReady, median, type Started } from "../support/process.ts";

const inFlight = 64;
const loadFile = join(import.meta.dirname, "../load/main.ts");

interface Pulled {
  readonly rate: number;
  readonly cpu: number;
}

export async function pulling(bench: Bench): Promise<Row> {
  const nc = await bench.nats.connect();
  const count = bench.quick ? 5000 : 30_000;
  const ours: Pulled[] = [];
  const raw: Pulled[] = [];
  const go: Pulled[] = [];
  for (let round = 0; round < Math.min(3, bench.rounds); round += 1) {
    ours.push(await oursOnce(bench, count, `pull${round}`));
    const env = await ownStream(nc, `RAW${round}`, `raw${round}`);
    raw.push(await once(bench, env.SUBJECT, env.REPLIES, count, () => startRaw(bench, env)));
    if (bench.go === undefined) continue;
    const goEnv = await ownStream(nc, `GO${round}`, `go${round}`);
    go.push(await once(bench, goEnv.SUBJECT, goEnv.REPLIES, count, () => startGo(bench, goEnv)));
  }
  const rate = (all: readonly Pulled[]) => median(all.map((each) => each.rate));
  const text = (all: readonly Pulled[]) =>
    all.length === 0
      ? "–"
      : `${(rate(all) / 1000).toFixed(1)}k/s, ${median(all.map((each) => each.cpu)).toFixed(1)} µs`;
  const ratio = rate(ours) / rate(raw);
  return {
    figure: `JetStream pull, explicit ack, ${inFlight} in flight`,
    ours: text(ours),
    raw: text(raw),
    go: text(go),
    target: `${ratio.toFixed(2)} × raw (≥ 0.8)`,
    met: ratio >= 0.8,
  };
}

/** Fills the service's stream while it is away, then starts it. */
async function oursOnce(bench: Bench, count: number, installation: string): Promise<Pulled> {
  const env = { INSTALLATION: installation, CONCURRENCY: String(inFlight) };
  await (await startEcho(bench, env)).stop(); // provisions
  return once(bench, `${installation}.echo.say`, `${installation}.echo.said`, count, () => startEcho(bench, env));
}

async function once(
  bench: Bench,
  subject: string,
  replies: string,
  count: number,
  begin: () => Promise<Started | undefined>,
): Promise<Pulled> {
  await apply(bench, { kind: "fill", subject, count, size: 900, bytes: false });
  const args = [loadFile, JSON.stringify({ kind: "drain", subject: `${replies}.>`, count })];
  const counter = await launchReady({ file: process.execPath, args, env: { NATS_URL: bench.nats.url }, place: "load" });
  const begun = await begin();
  if (begun === undefined) throw new Error("the program is missing");
  await using running = begun;
  const atReady = cpuUs(running.pid);
  const seen = JSON.parse((await counter.finished).at(-1) ?? "") as { count: number; seconds: number };
  return { rate: seen.count / seen.seconds, cpu: (cpuUs(running.pid) - atReady) / count };
}

/** A stream and a consumer for a peer, as the service's own are. */
async function ownStream(nc: NatsConnection, stream: string, token: string) {
  const jsm = await jetstreamManager(nc);
  const subject = `${token}.say`;
  await jsm.streams.add({
    name: stream,
    subjects: [subject],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
  });
  await jsm.consumers.add(stream, { durable_name: "peer", ack_policy: AckPolicy.Explicit, max_ack_pending: inFlight });
  return {
    MODE: "consume",
    STREAM: stream,
    DURABLE: "peer",
    SUBJECT: subject,
    REPLIES: `${token}.said`,
    IN_FLIGHT: String(inFlight),
  };
}

export async function publishing(bench: Bench): Promise<Row> {
  const nc = await bench.nats.connect();
  const jsm = await jetstreamManager(nc);
  await jsm.streams.add({
    name: "PUBLISHED",
    subjects: ["published.>"],
    storage: StorageType.Memory,
    max_msgs: 10_000,
  });
  const count = bench.quick ? 20_000 : 100_000;
  const env = {
    MODE: "publish",
    SUBJECT: "published.one",
    SIZE: "965",
    COUNT: String(count),
    NATS_URL: bench.nats.url,
  };
  const node = (variant: string) => ({
    file: process.execPath,
    args: [...nodeFlags, join(import.meta.dirname, "../peers/raw/main.ts")],
    env: { ...env, VARIANT: variant },
    place: "measured" as const,
  });
  const rateOf = async (command: Parameters<typeof finish>[0]) => {
    const { seconds } = JSON.parse((await finish(command)).stdout.trim()) as { seconds: number };
    return count / seconds;
  };
  const own: number[] = [];
  const client: number[] = [];
  const go: number[] = [];
  for (let round = 0; round < Math.min(3, bench.rounds); round += 1) {
    own.push(await rateOf(node("own")));
    client.push(await rateOf(node("client")));
    if (bench.go !== undefined) go.push(await rateOf({ file: bench.go, env, place: "measured" }));
  }
  const text = (all: readonly number[]) => (all.length === 0 ? "–" : `${(median(all) / 1000).toFixed(1)}k/s`);
  const goRate = median(go);
  return {
    figure: "JetStream publish with acknowledgement, 256 in flight",
    ours: text(own),
    raw: `${text(client)} (js.publish)`,
    go: text(go),
    target: `≥ 50k/s or ≥ 0.6 × Go${go.length > 0 ? ` (${(median(own) / goRate).toFixed(2)})` : ""}`,
    met: median(own) >= 50_000 || (go.length > 0 && median(own) >= 0.6 * goRate),
  };
}
