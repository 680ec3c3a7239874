// Keys of the lease bucket, changed by compare-and-set and gone after a time to live. What leases and queues are made of.
//
// I1  Every write names the revision that it replaces and carries a time to live: `kv.update` would drop the time to live, and the key
//     of a dead process would stay for ever. So this writes to the bucket's stream itself.
// I2  Reads that decide something ask the leader: a follower may not know yet what this process has just been refused for.
// I3  What arrives on the key's subject is a hint to read again, no more: a plain subscriber sees refused writes too, and does not see
//     keys that ran out.
import { JetStreamApiCodes, JetStreamApiError, type JetStreamManager } from "@nats-io/jetstream";
import { headers as natsHeaders, type NatsConnection } from "@nats-io/nats-core";
import { HandlerError } from "../error.ts";
import type { Publisher } from "../publisher.ts";

const holderHeader = "Handler-Holder";
const operationHeader = "KV-Operation";

/** Longest time between two readings of a key that somebody waits for, ms. */
const rereadMs = 1000;

/** What a key holds. */
export interface Cell {
  /** Sequence of its last message; 0 if there is none. */
  readonly revision: number;
  /** Undefined when nobody holds the key. */
  readonly value: Uint8Array | undefined;
  /** Who wrote it. */
  readonly holder: string;
}

export interface Write {
  /** Revision that it replaces; 0 = none. */
  readonly revision: number;
  readonly holder: string;
  /** Whole seconds count: the server rounds to them. */
  readonly ttlMs: number;
  /** How long to wait for the server's word, ms. */
  readonly timeoutMs: number;
}

export interface Cells {
  /** Writes and gives the new revision, or undefined where the key has another revision. Throws `unavailable` when the server says nothing: the write may have happened. */
  set(key: string, value: Uint8Array, write: Write): Promise<number | undefined>;
  /** Frees the key if it still has this revision. Throws `unavailable`. */
  remove(key: string, write: Write): Promise<boolean>;
  read(key: string): Promise<Cell>;
  /** Reads until `done` says so, after each hint and at least every second. Rejects with the signal's reason. */
  until(key: string, done: (cell: Cell) => boolean, signal: AbortSignal): Promise<Cell>;
}

export interface CellsOptions {
  readonly nc: NatsConnection;
  readonly jsm: JetStreamManager;
  readonly publisher: Publisher;
  /** Name of a bucket that allows times to live. */
  readonly bucket: string;
}

export function createCells({ nc, jsm, publisher, bucket }: CellsOptions): Cells {
  const stream = `KV_${bucket}`;
  const subjectOf = (key: string) => `$KV.${bucket}.${key}`;

  async function put(key: string, value: Uint8Array, write: Write, operation: string): Promise<number | undefined> {
    const out = natsHeaders();
    out.set("Nats-Expected-Last-Subject-Sequence", String(write.revision));
    out.set("Nats-TTL", `${Math.max(1, Math.ceil(write.ttlMs / 1000))}s`);
    out.set(holderHeader, write.holder);
    if (operation !== "") out.set(operationHeader, operation);
    try {
      return (await publisher.publish(subjectOf(key), value, { headers: out, timeoutMs: write.timeoutMs })).seq;
    } catch (cause) {
      if (isWrongRevision(cause)) return undefined;
      throw unavailable(cause);
    }
  }

  async function read(key: string): Promise<Cell> {
    try {
      const message = await jsm.streams.getMessage(stream, { last_by_subj: subjectOf(key) });
      if (message === null) return { revision: 0, value: undefined, holder: "" };
      const gone = message.header.has(operationHeader) || message.header.has("Nats-Marker-Reason");
      return {
        revision: message.seq,
        value: gone ? undefined : message.data,
        holder: gone ? "" : message.header.get(holderHeader),
      };
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  return {
    set: (key, value, write) => put(key, value, write, ""),
    remove: async (key, write) => (await put(key, new Uint8Array(), write, "DEL")) !== undefined,
    read,
    async until(key, done, signal) {
      let wake: (() => void) | undefined;
      let hinted = false;
      const hint = () => {
        hinted = true;
        wake?.();
      };
      signal.throwIfAborted();
      const subscription = nc.subscribe(subjectOf(key), { callback: hint });
      signal.addEventListener("abort", hint);
      try {
        for (;;) {
          hinted = false;
          const cell = await readOr(read, key);
          if (cell && done(cell)) return cell;
          signal.throwIfAborted();
          if (!hinted) {
            await new Promise<void>((resolve) => {
              const timer = setTimeout(resolve, rereadMs);
              wake = () => {
                clearTimeout(timer);
                resolve();
              };
            });
          }
          signal.throwIfAborted();
        }
      } finally {
        signal.removeEventListener("abort", hint);
        subscription.unsubscribe();
      }
    },
  };
}

/** A waiter outlives an outage of the server: its signal bounds the time. */
async function readOr(read: (key: string) => Promise<Cell>, key: string): Promise<Cell | undefined> {
  try {
    return await read(key);
  } catch (reason) {
    if (HandlerError.from(reason).code === "unavailable") return undefined;
    throw reason;
  }
}

function isWrongRevision(reason: unknown): boolean {
  return (
    reason instanceof JetStreamApiError &&
    (reason.code === JetStreamApiCodes.StreamWrongLastSequence ||
      reason.code === JetStreamApiCodes.StreamWrongLastSequenceUnknown)
  );
}

const unavailable = (cause: unknown) =>
  new HandlerError("the store of claims does not answer", "unavailable", { cause, retryAfterMs: 1000 });
