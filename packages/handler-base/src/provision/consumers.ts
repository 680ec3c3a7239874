// Durable consumers that a handler pulls from. They exist before its first replica and outlive its last one.
//
// I1  No inactive threshold: a service at zero replicas must keep its consumers, else nothing wakes it.
// I2  `max_ack_pending` is what all replicas together can run; waiting messages stay with the server.
import { nanos } from "@nats-io/nats-core";
import type { ConsumerConfig } from "@nats-io/jetstream";
import type { MethodContract, ServiceContract } from "../contract.ts";
import { names, type Installation } from "../names.ts";
import { deliveryOf, type Environment } from "./environment.ts";
import { type Stamp, stampOf } from "./stamp.ts";

export type ConsumerSettings = Partial<ConsumerConfig> & { durable_name: string; filter_subjects: string[] };

export interface DesiredConsumer {
  readonly kind: "consumer";
  readonly stream: string;
  readonly settings: ConsumerSettings;
  readonly stamp: Stamp;
}

const sweeperAckWaitMs = 30_000;
const sweeperMaxAckPending = 64;

/** Where the contract's streams really are; a name that is absent is its own home. */
export type Homes = ReadonlyMap<string, { readonly name: string; readonly adopted: boolean }>;

/** Consumers of one handler, its sweeper apart. Throws a RangeError on contradicting settings. */
export function handlerConsumers(
  handler: string,
  contracts: readonly ServiceContract[],
  homes: Homes,
  at: Installation,
  environment: Environment,
): DesiredConsumer[] {
  const known = names(at);
  const stamp = stampOf(contracts);
  const consumers: DesiredConsumer[] = [];
  for (const method of contracts.flatMap((contract) => contract.methods)) {
    const settings = durable(method, environment);
    const add = (stream: string, kind: "events" | "retry" | "interactive", filters: string[], fromNow: boolean) =>
      consumers.push({
        kind: "consumer",
        stream,
        settings: {
          ...settings,
          durable_name: known.consumer(handler, method.token, kind),
          filter_subjects: filters,
          deliver_policy: fromNow ? "new" : "all",
        },
        stamp,
      });
    for (const stream of new Set(method.events.map((event) => event.stream))) {
      const filters = method.events.filter((event) => event.stream === stream).map(({ pattern }) => pattern.filter);
      const home = homes.get(stream);
      add(home?.name ?? stream, "events", filters, home?.adopted ?? false);
    }
    const called = method.requestSubjects.length > 0;
    if (called) add(known.stream.interactive(handler), "interactive", [known.durable(method.name)], false);
    if (called || method.events.length > 0) {
      add(known.stream.retry(handler), "retry", [known.retry(handler, method.token)], false);
    }
  }
  return consumers;
}

/** The consumer of a handler's advisories. It is never given up on: it is what finds messages that were. */
export function sweeperConsumer(
  handler: string,
  contracts: readonly ServiceContract[],
  at: Installation,
): DesiredConsumer {
  const { stream, sweeper } = names(at);
  return {
    kind: "consumer",
    stream: stream.advisories(handler),
    settings: {
      ...pulled,
      durable_name: sweeper(handler),
      filter_subjects: [],
      deliver_policy: "all",
      ack_wait: nanos(sweeperAckWaitMs),
      max_deliver: -1,
      max_ack_pending: sweeperMaxAckPending,
    },
    stamp: stampOf(contracts),
  };
}

const pulled = { ack_policy: "explicit", replay_policy: "instant", inactive_threshold: 0 } as const;

function durable(method: MethodContract, environment: Environment) {
  const { ackWaitMs, maxDeliver, maxAckPending } = deliveryOf(method, environment);
  return {
    ...pulled,
    ack_wait: nanos(ackWaitMs),
    max_deliver: maxDeliver,
    max_ack_pending: maxAckPending,
  };
}
