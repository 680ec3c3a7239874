// What all handlers of an installation share: stored answers, leases, large payloads; and the services' own buckets.
//
// I1  Stored answers are written once: one message a subject, a second one is refused, and only what was stored appears in public.
import { nanos } from "@nats-io/nats-core";
import type { BucketContract, ServiceContract } from "../contract.ts";
import { names, type Installation } from "../names.ts";
import type { Environment } from "./environment.ts";
import { sharedStamp } from "./stamp.ts";
import { closedToHeaders, copies, dayMs, type DesiredStream, kept, type StreamSettings } from "./streams.ts";

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
    ...[...contracts.flatMap((contract) => contract.buckets), ...buckets].map(
      ({ name, ttlMs = 0, history = 1, maxBytes = 0 }) =>
        shared("bucket", keyValue(bucket.own(name), ttlMs, history, maxBytes)),
    ),
  ];
}

function shared(kind: DesiredStream["kind"], settings: StreamSettings): DesiredStream {
  return { kind, use: "private", settings, stamp: sharedStamp() };
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
