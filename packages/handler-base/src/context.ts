// What a handler knows about the call that it serves, beside the request.
import type { Logger } from "./log.ts";
import type { MethodContract } from "./contract.ts";

/** Who calls: an id from a subject token is enforced by NATS permissions; one from a payload on a shared subject is the publisher's word. */
export interface Caller {
  readonly userId: string;
  /** True if the id stood in the subject. */
  readonly verified: boolean;
}

/** Members are plain properties, so `({ signal, log })` destructures safely. */
export interface CallContext {
  readonly method: MethodContract;
  readonly requestId: string;
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** Aborts at the deadline, when the caller cancels or is gone, and when the service must stop. Its reason is a HandlerError. */
  readonly signal: AbortSignal;
  /** When the call must be done, Unix ms. */
  readonly deadline: number;
  readonly caller: Caller;
  /** Which way the request came. */
  readonly way: "request" | "event";
  /** Has the request id and the method in every line. */
  readonly log: Logger;
  /** Value that a middleware put under a key of its own. */
  readonly get: <T>(key: ContextKey<T>) => T;
  readonly set: <T>(key: ContextKey<T>, value: T) => void;
}

/** A typed slot for what a middleware hands to the handler. */
export interface ContextKey<T> {
  readonly id: symbol;
  readonly defaultValue: T;
}

/** A new key; `defaultValue` is what `get` gives before anything was set. */
export function contextKey<T>(description: string, defaultValue: T): ContextKey<T> {
  return { id: Symbol(description), defaultValue };
}
