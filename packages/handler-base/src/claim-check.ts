// Payloads over the server's limit: they go into an object store, and the message holds the object's name in a header. Readers without
// our code find the name in `Handler-Claim-Check` and get the object from the bucket (docs/wire.md).
import type { MsgHdrs, NatsConnection } from "@nats-io/nats-core";
import { nuid } from "@nats-io/nats-core";
import type { ObjectStore } from "@nats-io/obj";
import { HandlerError } from "./error.ts";
import { headers, type Names } from "./names.ts";

/** Room that headers and protocol may need beside the payload, bytes. */
const reserveBytes = 8192;
/** Largest payload that is taken in through the object store, bytes. */
const largestBytes = 64 * 1024 * 1024;

export interface ClaimCheck {
  /** Whether a payload needs the object store on this server. */
  isTooLarge(data: Uint8Array): boolean;
  /** Stores a payload and names it in the headers. */
  store(data: Uint8Array, out: MsgHdrs): Promise<void>;
  /** The payload of a message: its body, or the object that its header names. Throws `not_found` for an object that has aged out. */
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
      const store = await bucket();
      const info = await store.info(name);
      if (info === null) throw new HandlerError(`header ${headers.claimCheck} names no object`, "not_found");
      if (info.size > largestBytes) {
        throw new HandlerError(`the payload has more than ${largestBytes} bytes`, "invalid_argument");
      }
      const blob = await store.getBlob(name);
      if (blob === null) throw new HandlerError(`header ${headers.claimCheck} names no object`, "not_found");
      return blob;
    },
  };
}
