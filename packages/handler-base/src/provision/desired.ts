// The whole state that provisioning wants, from contracts, installation and environment alone. Pure: it asks no server.
import type { BucketContract, ServiceContract } from "../contract.ts";
import { names, type Installation } from "../names.ts";
import { type DesiredConsumer, handlerConsumers, type Homes, sweeperConsumer } from "./consumers.ts";
import { checkMethodNames, checkStreamNames, type Environment } from "./environment.ts";
import { sharedStreams } from "./shared-streams.ts";
import { contractStreams, type DesiredStream, privateStreams } from "./streams.ts";

export interface DesiredState {
  /** In the order in which they are made. */
  readonly streams: readonly DesiredStream[];
  readonly consumers: readonly DesiredConsumer[];
}

/**
 * Streams, buckets and consumers that these services need. `homes` says where streams of the contract were adopted. Throws a RangeError
 * on an environment that contradicts itself or names what is not there, and an Error on contracts that contradict each other.
 */
export function desiredState(
  contracts: readonly ServiceContract[],
  at: Installation,
  environment: Environment = {},
  buckets: readonly BucketContract[] = [],
  homes: Homes = new Map(),
): DesiredState {
  checkMethodNames(contracts, environment);
  const streams = contractStreams(contracts, environment);
  const consumers: DesiredConsumer[] = [];
  for (const [handler, own] of Map.groupBy(contracts, (contract) => contract.handler)) {
    const pulled = handlerConsumers(handler, own, homes, at, environment);
    const { captured } = names(at);
    const advisories = pulled.map(({ stream, settings }) => captured.advisory(stream, settings.durable_name));
    streams.push(...privateStreams(handler, own, advisories, at, environment));
    consumers.push(...pulled);
    if (advisories.length > 0) consumers.push(sweeperConsumer(handler, own, at));
  }
  streams.push(...sharedStreams(contracts, buckets, at, environment));
  const known = streams.map(({ settings }) => settings.name);
  checkStreamNames(known, environment);
  const twice = known.find((name, index) => known.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`stream ${twice} is declared twice; a stream belongs to one service`);
  return { streams, consumers };
}
