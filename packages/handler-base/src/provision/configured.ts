// What a configuration changes about the contracts, as provisioning takes it. Services and tools that read the same variables thereby
// want the same streams and consumers, with the same digest of the contract in their metadata.
import type { BaseConfig } from "../config.ts";
import type { ServiceContract } from "../contract.ts";
import type { Environment } from "./environment.ts";

/** Overrides of these contracts by the variables that every service has. */
export function environmentOf(config: BaseConfig, contracts: readonly ServiceContract[]): Environment {
  const { concurrency, ackWait, maxReplicas, streamReplicas, streamStorage } = config;
  const override = {
    ...(concurrency !== undefined && { concurrency }),
    ...(ackWait !== undefined && { ackWaitMs: ackWait }),
  };
  const methods = contracts.flatMap((contract) => contract.methods);
  return {
    maxReplicas,
    ...(streamReplicas !== undefined && { copies: streamReplicas }),
    ...(streamStorage !== undefined && { storage: streamStorage }),
    methods: Object.fromEntries(methods.map(({ name }) => [name, override])),
  };
}
