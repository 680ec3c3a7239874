// Whether the account has room for what is to be made, asked before anything is.
import type { AccountLimits, JetStreamAccountStats, JetStreamUsageAccountLimits } from "@nats-io/jetstream";
import type { DesiredConsumer } from "./consumers.ts";
import type { DesiredStream } from "./streams.ts";

export interface Needs {
  /** Streams that are missing, with the copies that they will have. */
  readonly streams: readonly DesiredStream[];
  readonly consumers: readonly DesiredConsumer[];
}

/** One sentence for each limit of the account that is in the way. −1 means unlimited to the server, 0 in a tier that was not granted. */
export function limitProblems(account: JetStreamAccountStats, missing: Needs, all: Needs): string[] {
  const tiers = account.tiers;
  const out: string[] = [];
  const byCopies = Map.groupBy(missing.streams, ({ settings }) => settings.num_replicas ?? 1);
  if (tiers === undefined) {
    out.push(...problemsOf(account, missing.streams, "the account"));
  } else {
    for (const [copies, streams] of byCopies) {
      const tier = tiers[`R${copies}`];
      if (tier === undefined) out.push(`the account grants no streams of ${copies} copies`);
      else out.push(...problemsOf(tier, streams, `the account's tier R${copies}`));
    }
  }
  for (const tier of Object.values(tiers ?? { account })) {
    if (tier !== undefined) out.push(...consumerProblems(tier.limits, all.consumers));
  }
  return [...new Set(out)];
}

function problemsOf(usage: JetStreamUsageAccountLimits, streams: readonly DesiredStream[], whose: string): string[] {
  const { limits } = usage;
  const out: string[] = [];
  const room = limits.max_streams - usage.streams;
  if (limits.max_streams >= 0 && streams.length > room) {
    out.push(
      `${whose} may have ${limits.max_streams} streams and has ${usage.streams}; ${streams.length} more are needed`,
    );
  }
  for (const storage of ["file", "memory"] as const) {
    const [limit, used] =
      storage === "file" ? [limits.max_storage, usage.reserved_storage] : [limits.max_memory, usage.reserved_memory];
    const wanted = streams
      .filter(({ settings }) => settings.storage === storage)
      .reduce((sum, { settings }) => sum + Math.max(0, settings.max_bytes ?? 0) * (settings.num_replicas ?? 1), 0);
    if (limit >= 0 && wanted > limit - used) {
      out.push(
        `${whose} may keep ${limit} bytes of ${storage} and has given ${used}; ${wanted} more are to be reserved`,
      );
    }
  }
  if (limits.max_bytes_required) {
    const unbounded = streams
      .filter(({ settings }) => (settings.max_bytes ?? -1) <= 0)
      .map(({ settings }) => settings.name);
    if (unbounded.length > 0) {
      out.push(`${whose} wants a bound in bytes on every stream; set maxBytes for ${unbounded.join(", ")}`);
    }
  }
  return out;
}

function consumerProblems(limits: AccountLimits, consumers: readonly DesiredConsumer[]): string[] {
  const out: string[] = [];
  if (limits.max_consumers >= 0) {
    for (const [stream, own] of Map.groupBy(consumers, (consumer) => consumer.stream)) {
      if (own.length > limits.max_consumers) {
        out.push(`the account allows ${limits.max_consumers} consumers a stream; ${stream} needs ${own.length}`);
      }
    }
  }
  if (limits.max_ack_pending >= 0) {
    const most = Math.max(0, ...consumers.map(({ settings }) => settings.max_ack_pending ?? 0));
    if (most > limits.max_ack_pending) {
      out.push(`the account allows max_ack_pending ${limits.max_ack_pending}; ${most} is needed`);
    }
  }
  return out;
}
