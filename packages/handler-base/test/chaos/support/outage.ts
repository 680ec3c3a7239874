// Load on two replicas while something happens to the servers that they all depend on; what came of every request and call.
//
// The oracle is cut off as well and may miss finals. So a stream of its own keeps what appears on response subjects: the server puts
// there only what was stored, whether anybody listens or not.
import { setTimeout as sleep } from "node:timers/promises";
import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import type { ConnectionOptions, NatsConnection } from "@nats-io/nats-core";
import type { ProcessFixture } from "@pipeline/testkit";
import { fromBinary } from "@bufbuild/protobuf";
import { EchoResponseSchema } from "../../gen/echo/v1/echo_pb.ts";
import { counted, framesOfCount, startLoad, type Told } from "./load.ts";
import { openOracle, type Oracle } from "./oracle.ts";
import { startRuns } from "./runs.ts";
import { harmOf, startVictim, type Bundle } from "./victim.ts";

/** One server or several. */
export interface Servers {
  readonly urls: string;
  readonly connect: (options?: ConnectionOptions) => Promise<NatsConnection>;
}

export interface OutageOptions {
  readonly bundle: Bundle;
  readonly servers: Servers;
  readonly env?: Readonly<Record<string, string>>;
  /** Copies of the oracle's stream. */
  readonly copies: number;
  /** What happens; load runs before, during and after it. */
  readonly happens: () => Promise<void>;
  /** How long load runs before and after, ms. */
  readonly aroundMs: number;
  readonly readyWithinMs: number;
  readonly answersWithinMs: number;
}

export interface OutageReport {
  readonly requests: number;
  readonly runs: number;
  /** Requests without an answer, with another one's, or with an error. */
  readonly unanswered: readonly string[];
  readonly wrongAnswers: readonly string[];
  readonly severalFinals: readonly string[];
  readonly told: readonly Told[];
  /** Those of them that began a second after all replicas were ready again. */
  readonly toldAfter: readonly Told[];
  readonly harmed: readonly string[];
  /** How long after it was over all replicas were ready again and the last request was answered, ms. */
  readonly readyAfterMs: number;
  readonly answeredAfterMs: number;
}

const keeper = "ORACLE";

export async function loadDuring(options: OutageOptions): Promise<OutageReport> {
  const { bundle, servers, env = {}, copies, happens, aroundMs, readyWithinMs, answersWithinMs } = options;
  await using stack = new AsyncDisposableStack();
  const runs = stack.use(await startRuns());
  const start = () => startVictim({ bundle, natsUrl: servers.urls, runsUrl: runs.url, env });
  const first = stack.use(await start()); // provisions
  const replicas: readonly ProcessFixture[] = [first, stack.use(await start())];
  const nc = await servers.connect();
  const jsm = await jetstreamManager(nc, { checkAPI: false });
  await jsm.streams.add({
    name: keeper,
    subjects: ["echo.onced.*", "echo.counted.*"],
    num_replicas: copies,
    allow_direct: true,
  });
  const oracle = await openOracle(nc);
  const load = startLoad({ oracle, nc: await servers.connect(), everyMs: 60 });
  await sleep(aroundMs);
  await happens();
  const over = performance.now();
  await Promise.all(replicas.map((replica) => replica.untilReady(readyWithinMs)));
  const readyAfterMs = performance.now() - over;
  await sleep(aroundMs);
  await load.stop();
  const kept = await untilKept(jsm, oracle, answersWithinMs);
  const answeredAfterMs = performance.now() - over;
  await sleep(1500); // long enough for a second final to show
  const all = await read(jsm, kept);
  return {
    requests: oracle.asked.size,
    runs: runs.all.length,
    ...judge(oracle, all),
    told: load.told,
    toldAfter: load.told.filter(({ begun }) => begun > over + readyAfterMs + 1000),
    harmed: replicas.flatMap((replica) => harmOf(replica) ?? []),
    readyAfterMs,
    answeredAfterMs,
  };
}

/** Finals that the stream kept, by request. */
type Kept = Map<string, { readonly text: string; readonly error: string }[]>;

async function untilKept(jsm: JetStreamManager, oracle: Oracle, withinMs: number): Promise<Kept> {
  const end = performance.now() + withinMs;
  let kept: Kept = new Map();
  while (performance.now() < end) {
    kept = await read(jsm, kept);
    if ([...oracle.asked.keys()].every((id) => kept.has(id))) return kept;
    await sleep(200);
  }
  return kept; // what is missing is in the report
}

/** Reads the whole stream; keeps what was read before where it cannot be read now. */
async function read(jsm: JetStreamManager, before: Kept): Promise<Kept> {
  const kept: Kept = new Map();
  try {
    const { state } = await jsm.streams.info(keeper);
    if (state.messages === 0) return kept;
    for await (const message of await jsm.direct.getBatch(keeper, { seq: 1, batch: state.messages })) {
      if (message.header.has("Handler-Replayed")) continue;
      const id = message.subject.split(".").at(-1) ?? "";
      const { text, error } = fromBinary(EchoResponseSchema, message.data);
      kept.set(id, [...(kept.get(id) ?? []), { text, error: error ? `${error.type}: ${error.message}` : "" }]);
    }
  } catch {
    return before;
  }
  return kept;
}

function judge(oracle: Oracle, kept: Kept) {
  const unanswered: string[] = [];
  const wrongAnswers: string[] = [];
  const severalFinals: string[] = [];
  for (const { id, text, method } of oracle.asked.values()) {
    const [final, ...others] = kept.get(id) ?? [];
    if (final === undefined) unanswered.push(id);
    else if (final.error !== "") wrongAnswers.push(`${id}: ${final.error}`);
    else if (final.text !== (method === "count" ? counted(text, framesOfCount) : text))
      wrongAnswers.push(`${id}: ${final.text}`);
    if (others.length > 0) severalFinals.push(`${id}: ${others.length + 1}`);
  }
  return { unanswered, wrongAnswers, severalFinals };
}
