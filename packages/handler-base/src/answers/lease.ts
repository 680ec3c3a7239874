// Leases: a key that one holder has for as long as it renews it. Marks work in flight.
//
// I1  `held` is true only while the last confirmed renewal was sent less than the time to live ago, by the monotonic clock. The server
//     counts from when it stored the renewal, which is later: nobody else can have the key while `held` is true.
// I2  A lease that was lost is never taken back: somebody may have worked in between.
// I3  One renewal at a time. A renewal without an answer is tried again until time runs out; it may have been stored.
import { nuid } from "@nats-io/nats-core";
import { HandlerError } from "../error.ts";
import type { Clock, Ticking } from "../live-call.ts";
import type { Cell, Cells } from "./cells.ts";

export interface Lease {
  readonly key: string;
  /** Unique to this acquisition. */
  readonly holder: string;
  /** True if the key had no earlier holder that the bucket still knows of. */
  readonly fresh: boolean;
  /** `performance.now()` at which the lease ends unless it is renewed. */
  readonly heldUntil: number;
  readonly held: boolean;
  /**
   * Frees the key, or hands it to whoever acquires it as `successor`. Resolves when that is done or was tried: if the server does not
   * answer, the time to live frees it. Idempotent.
   */
  release(successor?: string): Promise<void>;
}

/** A key that somebody else holds. */
export interface Taken {
  readonly holder: string;
  readonly value: Uint8Array;
}

export interface AcquireOptions {
  readonly signal: AbortSignal;
  /** Called once, when the lease was lost before it was released. */
  readonly onLost?: (reason: HandlerError) => void;
  /** Name under which the holder before may have handed over the key. */
  readonly as?: string;
}

export interface Leases {
  /** Takes a free key, or says who has it. Throws `unavailable`, or the signal's reason; the key is free then or runs out. */
  acquire(key: string, value: Uint8Array, options: AcquireOptions): Promise<Lease | Taken>;
  /** Resolves when this holder has the key no more. Rejects with the signal's reason. */
  wait(key: string, holder: string, options: { signal: AbortSignal }): Promise<void>;
}

export interface LeasesOptions {
  readonly cells: Cells;
  readonly clock: Clock;
  /** How long a key outlives its holder, ms; whole seconds. Default 5000. */
  readonly ttlMs?: number;
  /** Time between renewals, ms. Default: a third of the time to live. */
  readonly renewMs?: number;
}

/** How often a write without an answer, or one that lost a race against an expiry, is tried again. */
const tries = 5;
/** How long a key is kept for the one that it was handed to, ms. */
const handOverMs = 2000;
const empty = new Uint8Array();
/** Holder of a key that waits for its successor; no holder of our own has a space in it. */
const successorHolder = (name: string) => `for ${name}`;
/** Pause after a renewal that failed at once, ms. */
const retryMs = 250;

export function createLeases({ cells, clock, ttlMs = 5000, renewMs = ttlMs / 3 }: LeasesOptions): Leases {
  const times = { ttlMs, renewMs };

  async function take(
    key: string,
    value: Uint8Array,
    { onLost, as }: Omit<AcquireOptions, "signal">,
  ): Promise<HeldLease | Taken> {
    const holder = nuid.next();
    const begun = performance.now();
    const hold = (revision: number, sent: number, fresh: boolean) =>
      new HeldLease({ key, value, holder, fresh, onLost, cells, clock, ...times }, revision, sent);
    let revision = 0;
    for (let attempt = 1; ; attempt += 1) {
      const sent = performance.now();
      try {
        const written = await cells.set(key, value, { revision, holder, ttlMs, timeoutMs: ttlMs / 2 });
        if (written !== undefined) return hold(written, sent, revision === 0);
      } catch (reason) {
        if (attempt === tries) throw reason;
      }
      const cell = await cells.read(key);
      // A write of ours whose answer was lost: the first one may have been the one that was stored.
      if (cell.holder === holder) return hold(cell.revision, begun, false);
      const handedOver = as !== undefined && cell.holder === successorHolder(as);
      if (cell.value !== undefined && !handedOver) return { holder: cell.holder, value: cell.value };
      if (attempt === tries) {
        throw new HandlerError("the claim on this request changes hands too fast", "unavailable", {
          retryAfterMs: 1000,
        });
      }
      revision = cell.revision;
    }
  }

  return {
    async acquire(key, value, { signal, ...options }) {
      signal.throwIfAborted();
      const taken = await take(key, value, options);
      if (signal.aborted) {
        if (isLease(taken)) await taken.release();
        signal.throwIfAborted();
      }
      return taken;
    },
    async wait(key, holder, { signal }) {
      await cells.until(key, (cell) => cell.holder !== holder, signal);
    },
  };
}

/** Tells a lease from a key that somebody else holds. */
export function isLease(one: Lease | Taken): one is Lease {
  return "release" in one;
}

interface HeldLeaseOptions {
  readonly key: string;
  readonly value: Uint8Array;
  readonly holder: string;
  readonly fresh: boolean;
  readonly onLost: ((reason: HandlerError) => void) | undefined;
  readonly cells: Cells;
  readonly clock: Clock;
  readonly ttlMs: number;
  readonly renewMs: number;
}

class HeldLease implements Lease, Ticking {
  place = -1;
  readonly #options: HeldLeaseOptions;
  #revision: number;
  #renewAt: number;
  #renewal: Promise<void> | undefined;
  #failure: unknown;
  #state: "held" | "lost" | "released" = "held";
  heldUntil: number;

  constructor(options: HeldLeaseOptions, revision: number, sent: number) {
    this.#options = options;
    this.#revision = revision;
    this.#renewAt = sent + options.renewMs;
    this.heldUntil = sent + options.ttlMs;
    options.clock.add(this);
  }

  get key(): string {
    return this.#options.key;
  }

  get holder(): string {
    return this.#options.holder;
  }

  get fresh(): boolean {
    return this.#options.fresh;
  }

  get onLost(): ((reason: HandlerError) => void) | undefined {
    return this.#options.onLost;
  }

  get held(): boolean {
    return this.#state === "held" && performance.now() < this.heldUntil;
  }

  tick(now: number): void {
    if (now >= this.heldUntil) this.#lose("it could not be renewed in time");
    else if (now >= this.#renewAt) this.#renewal ??= this.#renew(now);
  }

  async release(successor?: string): Promise<void> {
    if (this.#state !== "held") return;
    this.#state = "released";
    this.#options.clock.delete(this);
    await this.#renewal; // it changes the revision
    const { cells, key, holder, ttlMs } = this.#options;
    const write = { revision: this.#revision, timeoutMs: ttlMs };
    try {
      if (successor === undefined) await cells.remove(key, { ...write, holder, ttlMs: 1000 });
      else await cells.set(key, empty, { ...write, holder: successorHolder(successor), ttlMs: handOverMs });
    } catch (reason) {
      this.#failure = reason; // the time to live frees it
    }
  }

  async #renew(now: number): Promise<void> {
    const { cells, key, value, holder, ttlMs, renewMs } = this.#options;
    try {
      const revision = await cells.set(key, value, { revision: this.#revision, holder, ttlMs, timeoutMs: renewMs });
      if (revision !== undefined) {
        this.#revision = revision;
        this.heldUntil = now + ttlMs;
        this.#renewAt = now + renewMs;
        return;
      }
      const cell: Cell = await cells.read(key);
      // An earlier renewal was stored though its answer was lost: renew that one with the next tick.
      if (cell.holder === holder) this.#revision = cell.revision;
      else this.#lose("somebody else has taken it");
    } catch (reason) {
      this.#failure = reason; // tried again until time runs out, I3
      this.#renewAt = now + Math.min(renewMs, retryMs);
    } finally {
      this.#renewal = undefined;
    }
  }

  #lose(why: string): void {
    if (this.#state !== "held") return;
    this.#state = "lost";
    this.#options.clock.delete(this);
    this.onLost?.(
      new HandlerError(`the claim on this request was lost: ${why}`, "aborted", {
        retryAfterMs: 1000,
        cause: this.#failure,
      }),
    );
  }
}
