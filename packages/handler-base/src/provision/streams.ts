// Streams of services and handlers, as the server is told: those that the contracts name and the private ones of each handler.
//
// I1  Streams that strangers publish to allow no roll-ups, schedules or times to live by header, and have the smallest duplicate window:
//     by header a bare publisher could purge, redirect or swallow others' messages.
import { nanos } from "@nats-io/nats-core";
import type { StreamConfig } from "@nats-io/jetstream";
import type { ServiceContract, StreamContract } from "../contract.ts";
import { names, type Installation } from "../names.ts";
import { type Environment, keptAs } from "./environment.ts";
import { type Stamp, stampOf } from "./stamp.ts";

export type StreamSettings = Partial<StreamConfig> & Pick<StreamConfig, "name" | "subjects">;

export interface DesiredStream {
  readonly kind: "stream" | "bucket" | "objects";
  /** `ingress` and `frames` streams may be someone else's and be adopted; the rest is ours alone. */
  readonly use: "ingress" | "frames" | "private";
  readonly settings: StreamSettings;
  readonly stamp: Stamp;
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
export const dayMs = 24 * hourMs;
/** Smallest duplicate window that the server takes. */
const smallestWindowMs = 100;
/** Copies of what the contract does not name, on a cluster. */
export const copies = 3;

/** Streams that the contracts name. */
export function contractStreams(contracts: readonly ServiceContract[], environment: Environment): DesiredStream[] {
  return contracts.flatMap((contract) =>
    contract.streams.map((stream) => ({
      kind: "stream",
      use: stream.role,
      settings: stream.role === "frames" ? frames(stream, environment) : ingress(stream, environment),
      stamp: stampOf([contract]),
    })),
  );
}

function ingress(stream: StreamContract, environment: Environment): StreamSettings {
  return {
    ...kept(stream, environment),
    subjects: [...stream.subjects],
    duplicate_window: nanos(smallestWindowMs),
    allow_direct: true,
    ...closedToHeaders,
  };
}

function frames(stream: StreamContract, environment: Environment): StreamSettings {
  const base = kept(stream, environment);
  return {
    ...base,
    subjects: [...stream.subjects],
    duplicate_window: base.max_age === 0 ? nanos(2 * minuteMs) : base.max_age,
    allow_direct: true,
    ...closedToHeaders,
  };
}

/** Nothing that a publisher could do to others' messages by header. */
export const closedToHeaders = { allow_rollup_hdrs: false, allow_msg_schedules: false, allow_msg_ttl: false };

/** Private streams of one handler; `advisories` are the subjects of its sweeper. */
export function privateStreams(
  handler: string,
  contracts: readonly ServiceContract[],
  advisories: readonly string[],
  at: Installation,
  environment: Environment,
): DesiredStream[] {
  const { stream, captured, durable } = names(at);
  const methods = contracts.flatMap((contract) => contract.methods);
  const called = methods.filter((method) => method.requestSubjects.length > 0);
  const stamp = stampOf(contracts);
  const own = (
    name: string,
    maxAgeMs: number,
    subjects: readonly string[],
    more: Partial<StreamConfig>,
  ): DesiredStream => ({
    kind: "stream",
    use: "private",
    settings: {
      ...kept({ name, maxAgeMs, maxBytes: 0, replicas: copies, storage: "file" }, environment),
      subjects: [...subjects],
      allow_direct: true,
      ...more,
    },
    stamp,
  });
  const out = [
    own(stream.retry(handler), 30 * dayMs, captured.retry(handler), {
      retention: "workqueue",
      allow_msg_schedules: true,
    }),
    own(stream.deadLetters(handler), 30 * dayMs, captured.deadLetters(handler), {
      duplicate_window: nanos(hourMs),
      ...closedToHeaders,
    }),
  ];
  if (called.length > 0) {
    const subjects = called.map((method) => durable(method.name));
    out.push(
      own(stream.interactive(handler), hourMs, subjects, {
        retention: "workqueue",
        duplicate_window: nanos(smallestWindowMs),
        ...closedToHeaders,
      }),
    );
  }
  if (advisories.length > 0) {
    out.push(own(stream.advisories(handler), 30 * dayMs, advisories, { retention: "workqueue", ...closedToHeaders }));
  }
  return out;
}

/** Settings that an environment may change. */
export function kept(stream: Parameters<typeof keptAs>[0], environment: Environment) {
  const { maxAgeMs, maxBytes, copies: wanted, storage } = keptAs(stream, environment);
  return {
    name: stream.name,
    retention: "limits",
    storage,
    num_replicas: wanted,
    max_age: nanos(maxAgeMs),
    max_bytes: maxBytes === 0 ? -1 : maxBytes,
    discard: "old",
  } as const;
}
