// Calls in flight: their contexts, their deadlines, and the clock that they share. One timer serves all calls: a timer of its own costs
// each call more than its decoding does.
//
// I1  The first reason that ends a call holds; the signal's reason and the error that is answered are that HandlerError.
// I2  A call that is registered is ended by its handler, its deadline, its caller or the shutdown, whichever comes first.
import { Bag, type Placed } from "./bag.ts";
import type { CallContext, Caller, ContextKey } from "./context.ts";
import type { MethodContract } from "./contract.ts";
import { HandlerError } from "./error.ts";
import type { Logger } from "./log.ts";
import type { Maybe } from "./maybe.ts";

const tickMs = 20;

/** Something that wants to know the time while calls are in flight. */
export interface Ticking extends Placed {
  /** Called about every 20 ms with `performance.now()` and `Date.now()`. */
  tick(now: number, wallClock: number): void;
}

export interface Clock {
  add(member: Ticking): void;
  delete(member: Ticking): void;
}

/** The shared timer; it runs only while it has members. */
export function createClock(): Clock {
  const members = new Bag<Ticking>();
  let timer: NodeJS.Timeout | undefined;
  const tick = () => {
    const now = performance.now();
    const wallClock = Date.now();
    members.each((member) => member.tick(now, wallClock));
    if (members.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
  return {
    add(member) {
      members.add(member);
      timer ??= setInterval(tick, tickMs);
    },
    delete(member) {
      members.delete(member);
    },
  };
}

export interface LiveCallOptions {
  method: MethodContract;
  requestId: string;
  attempt: number;
  deadline: number;
  caller: Caller;
  way: "request" | "event";
  log: Logger;
}

/** The context of one call, and the means to end it. Whoever holds the live calls lets them tick. */
export class LiveCall implements CallContext, Ticking {
  place = -1;
  readonly method: MethodContract;
  readonly requestId: string;
  readonly attempt: number;
  readonly deadline: number;
  readonly caller: Caller;
  readonly way: "request" | "event";
  readonly #log: Logger;
  #lineLog: Logger | undefined;
  #controller: AbortController | undefined;
  #reason: HandlerError | undefined;
  #committed = false;
  #values: Map<symbol, unknown> | undefined;
  #onAbort: ((reason: HandlerError) => void) | undefined;

  constructor(options: LiveCallOptions) {
    this.method = options.method;
    this.requestId = options.requestId;
    this.attempt = options.attempt;
    this.deadline = options.deadline;
    this.caller = options.caller;
    this.way = options.way;
    this.#log = options.log;
  }

  /** Made when it is first asked for: most unary handlers never do. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  get log(): Logger {
    this.#lineLog ??= this.#log.child({
      method: this.method.name,
      request_id: this.requestId,
      attempt: this.attempt,
    });
    return this.#lineLog;
  }

  readonly get = <T>(key: ContextKey<T>): T =>
    this.#values?.has(key.id) ? (this.#values.get(key.id) as T) : key.defaultValue;

  readonly set = <T>(key: ContextKey<T>, value: T): void => {
    this.#values ??= new Map();
    this.#values.set(key.id, value);
  };

  readonly abort = (reason: HandlerError): void => {
    if (this.#reason || this.#committed) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
    this.#onAbort?.(reason);
  };

  /** Settles as `work` does, or rejects with the reason of an abort, whichever comes first. A handler that ignores its signal holds up nobody. */
  race<T>(work: Maybe<T>): Maybe<T> {
    if (!(work instanceof Promise)) return work;
    if (this.#reason) {
      work.catch(() => undefined); // already answered with the reason; what the handler makes of it reaches nobody
      return Promise.reject(this.#reason);
    }
    return new Promise<T>((resolve, reject) => {
      this.#onAbort = reject;
      work.then(resolve, reject);
    });
  }

  throwIfAborted(): void {
    if (this.#reason) throw this.#reason;
  }

  /** From here on the answer leaves and nothing ends the call any more. Throws if something has. */
  commit(): void {
    this.throwIfAborted();
    this.#committed = true;
  }

  tick(_now: number, wallClock: number): void {
    if (wallClock >= this.deadline) {
      this.abort(new HandlerError("the deadline has passed", "deadline_exceeded"));
    }
  }
}
