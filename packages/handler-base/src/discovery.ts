// Discovery by ADR-32: answers `$SRV.PING|INFO|STATS` so that `nats micro` and dashboards find the service, what it offers and how it
// does. Own code, because the npm package measures a handler only until it returns its promise.
//
// I1  One endpoint for each method and request subject; a method that is reached by events only has none.
// I2  A time is counted from the arrival of a request until its last reply is out, waiting for a slot excluded.
// I3  Nothing that a user wrote is told: the last error is its number and code.
// I4  The `$SRV` subjects carry no installation prefix, as ADR-32 wants; the service's name does.
import { createHash } from "node:crypto";
import { toBinary, type DescFile } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { Msg, NatsConnection, Subscription } from "@nats-io/nats-core";
import type { BoundService } from "./bind.ts";
import type { Call, Incoming, Method, Outcome } from "./call.ts";
import type { Logger } from "./log.ts";
import type { Installation } from "./names.ts";
import { patiently } from "./patience.ts";
import { isInbox } from "./reply-subject.ts";

export interface DiscoveryOptions {
  readonly nc: NatsConnection;
  /** Name of the handler; with the installation's prefix it is the service's name: letters, digits, `-` and `_`. */
  readonly name: string;
  /** Semantic version of the program. */
  readonly version: string;
  /** Of this instance: one subject token. */
  readonly id: string;
  readonly installation: Installation;
  readonly services: readonly BoundService[];
  /** Queue group of the request subjects. */
  readonly queue: string;
  readonly log: Logger;
}

export interface Discovery {
  /** Counts one message that ended; same signature as `Observer.ended`. Events are not counted: endpoints are request subjects. */
  readonly ended: (incoming: Incoming, call: Call | undefined, outcome: Outcome, durationMs: number) => void;
  /** Answers no more; resolves when the server knows. Idempotent. */
  readonly close: () => Promise<void>;
}

interface Stats {
  requests: number;
  errors: number;
  totalMs: number;
  lastError: string;
}

interface Endpoint {
  readonly name: string;
  readonly subject: string;
  readonly stats: Stats;
  readonly method: Method;
}

const verbs = ["PING", "INFO", "STATS"] as const;
type Verb = (typeof verbs)[number];

/** Resolves when the server has the subscriptions. Throws a RangeError for a name or id that cannot be part of a subject. */
export async function openDiscovery(options: DiscoveryOptions): Promise<Discovery> {
  const { nc, version, id, installation, services, queue, log } = options;
  const name = installation.namePrefix + options.name;
  if (!/^[\w-]+$/.test(name)) throw new RangeError(`a service's name has letters, digits, "-" and "_" only: ${name}`);
  if (!/^[\w-]+$/.test(id)) throw new RangeError(`an instance's id has letters, digits, "-" and "_" only: ${id}`);

  const started = new Date().toISOString();
  const endpoints = new Map<string, Endpoint>();
  for (const method of services.flatMap((service) => service.methods)) {
    method.contract.requestSubjects.forEach((subject, index) => {
      const suffix = index === 0 ? "" : `-${index + 1}`;
      const stats: Stats = { requests: 0, errors: 0, totalMs: 0, lastError: "" };
      endpoints.set(subject, { name: method.contract.token + suffix, subject, stats, method });
    });
  }
  const all = [...endpoints.values()];
  const identity = {
    name,
    id,
    version,
    metadata: {
      ...(installation.name !== "" && { installation: installation.name }),
      services: services.map(({ contract }) => `${contract.desc.typeName}@${contract.version}`).join(","),
    },
  };

  const answers: Record<Verb, () => object> = {
    PING: () => ({ ...identity, type: "io.nats.micro.v1.ping_response" }),
    INFO: () => ({
      ...identity,
      type: "io.nats.micro.v1.info_response",
      description: `Serves ${services.map(({ contract }) => contract.desc.typeName).join(", ")}`,
      endpoints: all.map((endpoint) => ({
        name: endpoint.name,
        subject: endpoint.subject,
        queue_group: queue,
        metadata: metadataOf(endpoint.method),
      })),
    }),
    STATS: () => ({
      ...identity,
      type: "io.nats.micro.v1.stats_response",
      started,
      endpoints: all.map((endpoint) => ({
        name: endpoint.name,
        subject: endpoint.subject,
        queue_group: queue,
        ...statsOf(endpoint.stats),
      })),
    }),
  };

  const subscriptions = verbs.flatMap((verb): Subscription[] => {
    const answer = (error: Error | null, message: Msg) => {
      if (error) log.error({ error }, "a discovery subscription failed");
      else if (message.reply && isInbox(message.reply)) message.respond(JSON.stringify(answers[verb]()));
    };
    return [`$SRV.${verb}`, `$SRV.${verb}.${name}`, `$SRV.${verb}.${name}.${id}`].map((subject) =>
      nc.subscribe(subject, { callback: answer }),
    );
  });
  await nc.flush();

  let closed: Promise<void> | undefined;
  return {
    ended({ way, subject }, _call, outcome, durationMs) {
      const stats = way === "request" ? endpoints.get(subject)?.stats : undefined;
      if (stats === undefined) return;
      stats.requests += 1;
      stats.totalMs += durationMs;
      if (outcome.ok) return;
      stats.errors += 1;
      stats.lastError = `${outcome.error.number}:${outcome.error.code}`; // I3
    },
    close() {
      closed ??= (async () => {
        if (nc.isClosed()) return;
        for (const subscription of subscriptions) subscription.unsubscribe();
        await patiently(nc.flush());
      })();
      return closed;
    },
  };
}

function statsOf({ requests, errors, totalMs, lastError }: Stats) {
  const total = Math.round(totalMs * 1e6);
  return {
    num_requests: requests,
    num_errors: errors,
    last_error: lastError,
    processing_time: total,
    average_processing_time: requests === 0 ? 0 : Math.round(total / requests),
  };
}

/** What a caller needs to know beside the subject. All values are text, as ADR-32 wants. */
function metadataOf({ contract, input, output, handler }: Method): Record<string, string> {
  return {
    method: contract.name,
    request: input.typeName,
    response: output.typeName,
    streaming: handler.kind === "server_streaming" ? "server" : "none",
    content_types: "application/x-protobuf,application/json,application/msgpack",
    descriptor: digestOf(contract.desc.parent.file),
    deadline_ms: String(contract.deadlineMs),
    ...(contract.events.length > 0 && { events: contract.events.map(({ pattern }) => pattern.text).join(",") }),
    ...(contract.reply && { reply: contract.reply.subject.text }),
    ...(contract.reply?.frames && { frames: contract.reply.frames.text }),
  };
}

const digests = new WeakMap<DescFile, string>();

/** Of the file that holds the service: two instances with the same one speak the same contract. */
function digestOf(file: DescFile): string {
  let digest = digests.get(file);
  if (digest === undefined) {
    digest = `sha256:${createHash("sha256").update(toBinary(FileDescriptorProtoSchema, file.proto)).digest("hex")}`;
    digests.set(file, digest);
  }
  return digest;
}
