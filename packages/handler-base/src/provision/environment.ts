// What an environment may change about a contract: how much runs at once, where messages are kept and for how long. Structure (subjects,
// retention, filters) is the contract's alone.
import type { MethodContract, ServiceContract, StreamContract } from "../contract.ts";

/** Overrides of one environment. Everything has a default in the contract. */
export interface Environment {
  /** Most replicas of one service that run at once; with a method's concurrency it gives `max_ack_pending`. Default 10. */
  readonly maxReplicas?: number;
  /** Copies of each stream on a cluster, in place of what the contract says. A single server always keeps one. */
  readonly copies?: number;
  /** Where streams are kept that the contract wants on disk. */
  readonly storage?: "file" | "memory";
  /** By the stream's name on the server. */
  readonly streams?: Readonly<Record<string, StreamOverride>>;
  /** By the method's full name, `messages.v1.ChatService.Chat`. */
  readonly methods?: Readonly<Record<string, MethodOverride>>;
}

export interface StreamOverride {
  readonly maxAgeMs?: number;
  /** Bytes; 0 = no bound of its own. */
  readonly maxBytes?: number;
  readonly copies?: number;
  readonly storage?: "file" | "memory";
}

export interface MethodOverride {
  readonly concurrency?: number;
  readonly ackWaitMs?: number;
  /** Messages that all replicas together may hold unacknowledged on each durable consumer; at least maxReplicas × concurrency. */
  readonly maxAckPending?: number;
}

/** What the server is told about one method's durable consumers. */
export interface Delivery {
  readonly ackWaitMs: number;
  readonly maxDeliver: number;
  readonly maxAckPending: number;
}

const defaultMaxReplicas = 10;
const smallestAckWaitMs = 500;

/** Delivery settings of a method in an environment. Throws a RangeError that names the method on a contradiction. */
export function deliveryOf(method: MethodContract, environment: Environment): Delivery {
  const given = environment.methods?.[method.name];
  const replicas = atLeastOne(environment.maxReplicas ?? defaultMaxReplicas, "maxReplicas");
  const concurrency = atLeastOne(given?.concurrency ?? method.concurrency, `concurrency of ${method.name}`);
  const slots = replicas * concurrency;
  const maxAckPending = given?.maxAckPending ?? slots;
  if (!(maxAckPending >= slots)) {
    throw new RangeError(
      `${method.name}: max_ack_pending ${maxAckPending} is below ${slots} slots (${replicas} replicas × ${concurrency} calls); raise it, or lower replicas or concurrency`,
    );
  }
  const ackWaitMs = given?.ackWaitMs ?? method.ackWaitMs;
  if (!(ackWaitMs >= smallestAckWaitMs)) {
    throw new RangeError(
      `${method.name}: ack_wait ${ackWaitMs} ms leaves no time for heartbeats; use ${smallestAckWaitMs} ms or more`,
    );
  }
  return { ackWaitMs, maxAckPending, maxDeliver: Math.max(1, method.retry.maxAttempts) };
}

/** A stream's settings in an environment. */
export function keptAs(
  stream: Pick<StreamContract, "name" | "maxAgeMs" | "maxBytes" | "replicas" | "storage">,
  environment: Environment,
): { maxAgeMs: number; maxBytes: number; copies: number; storage: "file" | "memory" } {
  const given = environment.streams?.[stream.name];
  const storage = given?.storage ?? (stream.storage === "memory" ? "memory" : (environment.storage ?? "file"));
  const copies = given?.copies ?? environment.copies ?? stream.replicas;
  return {
    maxAgeMs: given?.maxAgeMs ?? stream.maxAgeMs,
    maxBytes: given?.maxBytes ?? stream.maxBytes,
    copies: atLeastOne(copies, `copies of ${stream.name}`),
    storage,
  };
}

/** Throws a RangeError on an override that names a method which no contract has: a typo would be without effect. */
export function checkMethodNames(contracts: readonly ServiceContract[], environment: Environment): void {
  const known = new Set(contracts.flatMap(({ methods }) => methods.map(({ name }) => name)));
  for (const name of Object.keys(environment.methods ?? {})) {
    if (!known.has(name))
      throw new RangeError(`override for unknown method ${name}; known are ${[...known].join(", ")}`);
  }
}

/** The same for streams. */
export function checkStreamNames(known: readonly string[], environment: Environment): void {
  for (const name of Object.keys(environment.streams ?? {})) {
    if (!known.includes(name)) {
      throw new RangeError(`override for unknown stream ${name}; known are ${known.join(", ")}`);
    }
  }
}

function atLeastOne(value: number, what: string): number {
  if (!Number.isInteger(value) || value < 1)
    throw new RangeError(`${what} must be a whole number from 1, not ${value}`);
  return value;
}
