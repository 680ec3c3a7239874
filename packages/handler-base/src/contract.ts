// The contract as the program uses it: what the options of a service's descriptor say, resolved for one installation. Nothing else in
// the library reads the options, and nothing outside proto/ spells a subject, a stream or a default.
import { getOption, hasOption, type DescMethod, type DescService } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import {
  Idempotency,
  method as methodOption,
  service as serviceOption,
  StreamRole,
  StreamStorage,
} from "@pipeline/messages";
import type { Installation } from "./names.ts";
import { covers, parsePattern, type SubjectPattern } from "./subjects.ts";

export interface EventContract {
  readonly pattern: SubjectPattern;
  readonly stream: string;
}

export interface ReplyContract {
  readonly subject: SubjectPattern;
  readonly frames: SubjectPattern | undefined;
  readonly framesField: string | undefined;
  readonly overrideField: string | undefined;
  /** Prefixes, each ending in a dot, below which the override may lie; `{user_id}` stands for the caller. */
  readonly overridePrefixes: readonly string[];
}

export interface RetryContract {
  readonly maxAttempts: number;
  readonly initialDelayMs: number;
  readonly maxDelayMs: number;
  readonly factor: number;
}

export interface MethodContract {
  readonly desc: DescMethod;
  /** Full name, `messages.v1.ChatService.Chat`; with the installation prefix it is the request subject. */
  readonly name: string;
  /** Last part of the name with the service, one token: `ChatService-Chat`. Used in names of consumers and private subjects. */
  readonly token: string;
  readonly handler: string;
  /** Subjects of request-reply calls, prefix included; empty for an rpc that is reached by events only. */
  readonly requestSubjects: readonly string[];
  readonly events: readonly EventContract[];
  readonly reply: ReplyContract | undefined;
  readonly deadlineMs: number;
  readonly concurrency: number;
  readonly retry: RetryContract;
  readonly storedAnswer: boolean;
  readonly orderingField: string | undefined;
  /** Streaming rpc whose stream this one folds into one answer. Claim and answer belong to that rpc. */
  readonly folds: string | undefined;
  readonly ackWaitMs: number;
}

export interface StreamContract {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly role: "ingress" | "frames";
  readonly maxAgeMs: number;
  readonly storage: "file" | "memory";
  readonly maxBytes: number;
  readonly replicas: number;
}

/** A service's own key-value bucket. */
export interface BucketContract {
  /** Without the installation's prefix. */
  readonly name: string;
  /** Age after which an entry is dropped, ms; absent = never. */
  readonly ttlMs?: number;
  /** Values kept for each key, 1 to 64. Default 1. */
  readonly history?: number;
  /** Bound on the bucket, bytes; absent = none of its own. */
  readonly maxBytes?: number;
}

export interface ServiceContract {
  readonly desc: DescService;
  readonly handler: string;
  /** Version of the binding, from 1. */
  readonly version: number;
  readonly streams: readonly StreamContract[];
  readonly buckets: readonly BucketContract[];
  readonly methods: readonly MethodContract[];
}

/** What the contract says of a service. Throws an Error that names what is missing or contradicts itself. */
export function readContract(desc: DescService, at: Installation): ServiceContract {
  if (!hasOption(desc, serviceOption)) {
    throw new Error(`${desc.typeName} has no option (handler.v1.service)`);
  }
  const { handler, streams, buckets, version } = getOption(desc, serviceOption);
  const contract: ServiceContract = {
    desc,
    handler,
    version: Math.max(1, version),
    streams: streams.map((stream) => ({
      name: at.namePrefix + stream.name,
      subjects: stream.subjects.map((subject) => at.subjectPrefix + subject),
      role: stream.role === StreamRole.FRAMES ? "frames" : "ingress",
      maxAgeMs: milliseconds(stream.maxAge) ?? 0,
      storage: stream.storage === StreamStorage.MEMORY ? "memory" : "file",
      maxBytes: Number(stream.maxBytes),
      replicas: Math.max(1, stream.replicas),
    })),
    buckets: buckets.map(({ name, ttl, history, maxBytes }) => ({
      name,
      ttlMs: milliseconds(ttl) ?? 0,
      history: Math.max(1, history),
      maxBytes: Number(maxBytes),
    })),
    methods: desc.methods.map((method) => readMethod(method, handler, at)),
  };
  check(contract);
  return contract;
}

function readMethod(desc: DescMethod, handler: string, at: Installation): MethodContract {
  const binding = getOption(desc, methodOption);
  const name = `${desc.parent.typeName}.${desc.name}`;
  const reply = binding.reply;
  const subject = (text: string) => parsePattern(at.subjectPrefix + text);
  return {
    desc,
    name,
    token: `${desc.parent.name}-${desc.name}`,
    handler,
    requestSubjects: binding.eventsOnly
      ? []
      : [name, ...binding.requestSubjects].map((text) => at.subjectPrefix + text),
    events: binding.events.map((event) => ({
      pattern: subject(event.subject),
      stream: at.namePrefix + event.stream,
    })),
    reply: reply && {
      subject: subject(reply.subject),
      frames: reply.framesSubject === "" ? undefined : subject(reply.framesSubject),
      framesField: reply.framesField === "" ? undefined : reply.framesField,
      overrideField: reply.overrideField === "" ? undefined : reply.overrideField,
      overridePrefixes: reply.overridePrefixes.map((text) => at.subjectPrefix + text),
    },
    deadlineMs: milliseconds(binding.deadline) ?? 60_000,
    concurrency: binding.concurrency === 0 ? 16 : binding.concurrency,
    retry: {
      maxAttempts: binding.retry?.maxAttempts ?? 5,
      initialDelayMs: milliseconds(binding.retry?.initialDelay) ?? 1000,
      maxDelayMs: milliseconds(binding.retry?.maxDelay) ?? 60_000,
      factor: binding.retry?.factor ?? 5,
    },
    storedAnswer: binding.idempotency === Idempotency.STORED_ANSWER,
    orderingField: binding.orderingField === "" ? undefined : binding.orderingField,
    folds: binding.folds === "" ? undefined : binding.folds,
    ackWaitMs: milliseconds(binding.ackWait) ?? 30_000,
  };
}

function milliseconds(duration: Duration | undefined): number | undefined {
  return duration && Number(duration.seconds) * 1000 + Math.round(duration.nanos / 1e6);
}

function check({ desc, streams, buckets, methods }: ServiceContract): void {
  const badBucket = buckets.find(({ name, history = 1 }) => !/^[A-Za-z0-9_-]{1,64}$/.test(name) || history > 64);
  if (badBucket) {
    throw new Error(
      `${desc.typeName}: bucket "${badBucket.name}" must be a word of at most 64 characters that keeps at most 64 values a key`,
    );
  }
  for (const method of methods) {
    for (const { pattern, stream } of method.events) {
      const home = streams.find(({ name }) => name === stream);
      if (home === undefined) {
        throw new Error(`${method.name}: stream ${stream} is not among the streams of ${desc.typeName}`);
      }
      if (!home.subjects.some((filter) => covers(filter, pattern.filter))) {
        throw new Error(`${method.name}: stream ${stream} does not capture ${pattern.text}`);
      }
    }
    for (const subject of method.requestSubjects) {
      const captor = streams.find((stream) => stream.subjects.some((filter) => covers(filter, subject)));
      if (captor) {
        throw new Error(
          `${method.name}: request subject ${subject} is captured by stream ${captor.name}, whose PubAck would answer it`,
        );
      }
    }
    if (method.folds !== undefined && !methods.some(({ desc: { name } }) => name === method.folds)) {
      throw new Error(`${method.name} folds ${method.folds}, which ${desc.typeName} does not have`);
    }
  }
}
