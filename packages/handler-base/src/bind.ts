// Pairs implementations with their contracts: one Method for every rpc of a served service.
import type { Method } from "./call.ts";
import { readContract, type MethodContract, type ServiceContract } from "./contract.ts";
import type { Implementation } from "./implement.ts";
import type { Installation } from "./names.ts";

export interface BoundService {
  /** As it is written; the contracts of the methods have this environment's overrides. */
  readonly contract: ServiceContract;
  readonly methods: readonly Method[];
}

interface MutableMethod extends Method {
  folded: Method | undefined;
  source: Method | undefined;
}

/** What one environment changes of every method. */
export interface MethodOverrides {
  readonly concurrency?: number | undefined;
  readonly ackWaitMs?: number | undefined;
}

/** Throws an Error where implementation and contract do not fit together. */
export function bind(implementation: Implementation, at: Installation, overrides: MethodOverrides = {}): BoundService {
  const contract = readContract(implementation.service, at);
  const methods = new Map<string, MutableMethod>();
  for (const written of contract.methods) {
    const one = override(written, overrides);
    const { desc } = one;
    const handler = implementation.methods.get(desc.localName);
    if (handler === undefined) throw new Error(`${one.name} has no function`);
    if ((handler.kind === "fold") !== (one.folds !== undefined)) {
      throw new Error(`${one.name}: give fold(…) exactly where the contract says \`folds\``);
    }
    methods.set(desc.name, {
      contract: one,
      input: desc.input,
      output: desc.output,
      handler,
      folded: undefined,
      source: undefined,
    });
  }
  for (const method of methods.values()) {
    const source = method.contract.folds === undefined ? undefined : methods.get(method.contract.folds);
    if (source === undefined) continue;
    method.source = source;
    source.folded = method;
  }
  return { contract, methods: [...methods.values()] };
}

function override(method: MethodContract, { concurrency, ackWaitMs }: MethodOverrides): MethodContract {
  return {
    ...method,
    ...(concurrency !== undefined && { concurrency }),
    ...(ackWaitMs !== undefined && { ackWaitMs }),
  };
}
