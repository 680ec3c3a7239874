// Payloads over the server's limit: they go into an object store, and the message holds the object's name in a header. Readers without
// our code find the name in `Handler-Claim-Check` and get the object from the bucket (docs/wire.md).
//
// I1  What an object says of itself is not believed: reading it ends in time and at the size that it names, whatever is in the bucket.
import type { MsgHdrs, NatsConnection } from "@nats-io/nats-core";
import { nuid } from "@nats-io/nats-core";
import type { ObjectStore } from "@nats-io/obj";
import { HandlerError } from "./error.ts";
import { headers, type Names } from "./names.ts";

/** Room that headers and protocol may need beside the payload, bytes. */
const reserveBytes = 8192;
/** Largest payload that is taken in through the object store, bytes. */
const largestBytes = 64 * 1024 * 1024;
/** How long each step of reading an object may take, ms. */
const silentMs = 5000;

export interface ClaimCheck {
  /** Whether a payload needs the object store on this server. */
  isTooLarge(data: Uint8Array): boolean;
  /** Stores a payload and names it in the headers. */
  store(data: Uint8Array, out: MsgHdrs): Promise<void>;
  /**
   * The payload of a message: its body, or the object that its header names. Throws `not_found` for an object that has aged out,
   * `invalid_argument` for one that no client of ours writes, and `unavailable` when the store is silent for five seconds.
   */
  load(data: Uint8Array, from: MsgHdrs | undefined): Promise<Uint8Array>;
}

export function createClaimCheck(nc: NatsConnection, names: Names): ClaimCheck {
  let opened: Promise<ObjectStore> | undefined;
  const bucket = () => {
    opened ??= import("@nats-io/obj").then(({ Objm }) => new Objm(nc).open(names.bucket.claimChecks));
    opened.catch(() => {
      opened = undefined; // the next payload tries again
    });
    return opened;
  };
  return {
    isTooLarge: (data) => data.length + reserveBytes > (nc.info?.max_payload ?? 1_048_576),
    async store(data, out) {
      const name = nuid.next();
      try {
        await (await bucket()).putBlob({ name }, data);
      } catch (cause) {
        throw new HandlerError(
          "the payload is too large for a message and the object store did not take it",
          "unavailable",
          { cause },
        );
      }
      out.set(headers.claimCheck, name);
    },
    async load(data, from) {
      const name = from?.get(headers.claimCheck);
      if (!name) return data;
      try {
        return await read(await bucket(), name);
      } catch (cause) {
        if (cause instanceof HandlerError) throw cause;
        throw new HandlerError("the payload could not be read from the object store", "unavailable", { cause });
      }
    },
  };
}

async function read(store: ObjectStore, name: string): Promise<Uint8Array> {
  const missing = () => new HandlerError(`header ${headers.claimCheck} names no object`, "not_found");
  const info = await inTime(store.info(name));
  if (info === null || info.deleted) throw missing();
  if (info.options?.link) throw new HandlerError(`header ${headers.claimCheck} names a link`, "invalid_argument");
  if (!(info.size <= largestBytes)) throw tooLarge(largestBytes); // not even a number, perhaps
  const object = await inTime(store.get(name));
  if (object === null) throw missing();
  object.error.catch(() => undefined); // the reader is told as well
  const reader = object.data.getReader();
  try {
    const pieces: Uint8Array[] = [];
    let size = 0;
    for (;;) {
      const { done, value } = await inTime(reader.read());
      if (done) break;
      size += value.length;
      if (size > info.size) throw tooLarge(info.size);
      pieces.push(value);
    }
    return joined(pieces, size);
  } finally {
    reader.cancel().catch(() => undefined); // ends the consumer that feeds it
  }
}

const tooLarge = (bytes: number) => new HandlerError(`the payload has more than ${bytes} bytes`, "invalid_argument");

function joined(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

async function inTime<T>(work: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`nothing for ${silentMs} ms`)), silentMs);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    work.catch(() => undefined); // what it still does after this reaches nobody
  }
}
