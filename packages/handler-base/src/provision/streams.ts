// Streams and buckets that an installation needs, as the server is told: those of the contracts, the private ones of each handler, and what
// all handlers of an installation share.
//
// I1  Streams that strangers publish to allow no roll-ups, schedules or times to live by header, and have the smallest duplicate window:
//     by header a bare publisher could purge, redirect or swallow others' messages.
// I2  Stored answers are written once: one message a subject, a second one is refused, and only what was stored appears in public.
import { nanos } from "@nats-io/nats-core";
import type { StreamConfig } from "@nats-io/jetstream";
import type { ServiceContract, StreamContract } from "../contract.ts";
import { names, type Installation } from "../names.ts";
import { type Environment, keptAs } from "./environment.ts";
import { sharedStamp, type Stamp, stampOf } from "./stamp.ts";

/** A service's own key-value bucket. */
export interface BucketContract {
  /** Without the installation's prefix. */
  readonly name: string;
  /** Age after which an entry is dropped, ms; absent = never. */
  readonly ttlMs?: number;
  /** Values kept a key, 1 to 64. Default 1. */
  readonly history?: number;
  /** Bound on the bucket, bytes; absent = none of its own. */
  readonly maxBytes?: number;
}

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
const dayMs = 24 * hourMs;
/** Smallest duplicate window that the server takes. */
const smallestWindowMs = 100;
const copies = 3;

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

const closedToHeaders = { allow_rollup_hdrs: false, allow_msg_schedules: false, allow_msg_ttl: false };

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

/** Streams and buckets that all handlers of an installation share, and buckets of services. */
export function sharedStreams(
  contracts: readonly ServiceContract[],
  buckets: readonly BucketContract[],
  at: Installation,
  environment: Environment,
): DesiredStream[] {
  const { bucket } = names(at);
  const base = (name: string, maxAgeMs: number, maxBytes = 0) =>
    kept({ name, maxAgeMs, maxBytes, replicas: copies, storage: "file" }, environment);
  const keyValue = (name: string, ttlMs: number, history: number, maxBytes: number): StreamSettings => ({
    ...base(`KV_${name}`, ttlMs, maxBytes),
    subjects: [`$KV.${name}.>`],
    max_msgs_per_subject: history,
    discard: "new",
    allow_direct: true,
    allow_rollup_hdrs: true,
    deny_delete: true,
  });
  const shared = (kind: DesiredStream["kind"], settings: StreamSettings): DesiredStream => ({
    kind,
    use: "private",
    settings,
    stamp: sharedStamp(),
  });
  return [
    ...answerRoots(contracts, at).map((root) => shared("stream", finals(root, at, environment))),
    shared("bucket", {
      ...keyValue(bucket.leases, 0, 1, 0),
      allow_msg_ttl: true,
      subject_delete_marker_ttl: nanos(10_000),
    }),
    shared("objects", {
      ...base(`OBJ_${bucket.claimChecks}`, dayMs),
      subjects: [`$O.${bucket.claimChecks}.C.>`, `$O.${bucket.claimChecks}.M.>`],
      discard: "new",
      allow_direct: true,
      allow_rollup_hdrs: true,
    }),
    ...buckets.map(({ name, ttlMs = 0, history = 1, maxBytes = 0 }) =>
      shared("bucket", keyValue(bucket.own(name), ttlMs, history, maxBytes)),
    ),
  ];
}

/** First tokens of the subjects on which stored answers appear, without the installation's prefix. */
export function answerRoots(contracts: readonly ServiceContract[], at: Installation): string[] {
  const roots = new Set<string>();
  for (const { storedAnswer, reply, name } of contracts.flatMap((contract) => contract.methods)) {
    if (!storedAnswer || reply === undefined) continue;
    for (const subject of [reply.subject.text, ...reply.overridePrefixes]) {
      const root = subject.slice(at.subjectPrefix.length).split(".")[0] ?? "";
      if (root === "" || root.startsWith("{"))
        throw new Error(`${name}: the first token of ${subject} must be literal`);
      roots.add(root);
    }
  }
  return [...roots].toSorted();
}

function finals(root: string, at: Installation, environment: Environment): StreamSettings {
  const { stream, captured } = names(at);
  const republish = captured.finals(root);
  const name = stream.finals(root);
  return {
    ...kept({ name, maxAgeMs: dayMs, maxBytes: 0, replicas: copies, storage: "file" }, environment),
    subjects: [republish.src],
    max_msgs_per_subject: 1,
    discard: "new",
    discard_new_per_subject: true,
    republish,
    allow_direct: true,
    ...closedToHeaders,
  };
}

function kept(stream: Parameters<typeof keptAs>[0], environment: Environment) {
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
