// Which traces are recorded, and their ids. The decision about a call is made before the SDK is touched: a span that the SDK finds out to
// be unwanted costs it nearly as much as a wanted one.
//
// I1  The SDK has the same sampler and gets the id that was decided on, so that it decides the same.
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  RandomIdGenerator,
  TraceIdRatioBasedSampler,
  type IdGenerator,
  type Sampler,
} from "@opentelemetry/sdk-trace";
import type { BaseConfig } from "../config/base.ts";

export function samplerOf({ tracesSampler, tracesSamplerArg }: BaseConfig): Sampler {
  switch (tracesSampler) {
    case "always_on":
      return new AlwaysOnSampler();
    case "always_off":
      return new AlwaysOffSampler();
    case "traceidratio":
      return new TraceIdRatioBasedSampler(tracesSamplerArg);
    case "parentbased_always_on":
      return new ParentBasedSampler({ root: new AlwaysOnSampler() });
    case "parentbased_always_off":
      return new ParentBasedSampler({ root: new AlwaysOffSampler() });
    case "parentbased_traceidratio":
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(tracesSamplerArg) });
    default:
      return unreachable(tracesSampler);
  }
}

/** Random ids; the next trace may be given one that is known already. */
export class Ids implements IdGenerator {
  readonly #random = new RandomIdGenerator();
  #next: string | undefined;

  readonly generateSpanId = (): string => this.#random.generateSpanId();

  readonly generateTraceId = (): string => {
    const known = this.#next;
    this.#next = undefined;
    return known ?? this.#random.generateTraceId();
  };

  /** Runs what begins a trace; a trace that it begins has this id. */
  withTraceId<T>(traceId: string, begin: () => T): T {
    this.#next = traceId;
    try {
      return begin();
    } finally {
      this.#next = undefined;
    }
  }
}

function unreachable(name: never): never {
  throw new Error(`unknown sampler ${String(name)}`);
}
