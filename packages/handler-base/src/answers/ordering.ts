// Runs calls of one ordering key one at a time over all replicas, in the order of their publishes.
//
// I1  Whoever runs a call of a key holds the lease on the key: never two at once.
// I2  A call that finds the key taken leaves a ticket, named by the time of its publish. The holder hands the key to the lowest ticket;
//     nobody else can take it meanwhile. Only a holder that dies leaves the key to whoever is first.
import { nuid } from "@nats-io/nats-core";
import type { JetStreamManager } from "@nats-io/jetstream";
import type { Call, Outcome } from "../call.ts";
import type { Ordering } from "../dispatch.ts";
import { requestKey } from "../names.ts";
import type { Cells } from "./cells.ts";
import { isLease, type Lease, type Leases } from "./lease.ts";
import { outlast } from "./outlast.ts";

export interface OrderingOptions {
  readonly leases: Leases;
  readonly cells: Cells;
  readonly jsm: JetStreamManager;
  /** Bucket of the leases. */
  readonly bucket: string;
}

const empty = new Uint8Array();

export function createOrdering({ leases, cells, jsm, bucket }: OrderingOptions): Ordering {
  /** The lowest ticket whose call still waits. */
  async function nextTicket(key: string): Promise<string | undefined> {
    const prefix = `$KV.${bucket}.${ticketKey(key, "")}`;
    const { state } = await jsm.streams.info(`KV_${bucket}`, { subjects_filter: `${prefix}*` });
    const tickets = Object.keys(state.subjects ?? {})
      .map((subject) => subject.slice(prefix.length))
      .toSorted();
    for (const ticket of tickets) {
      if ((await cells.read(ticketKey(key, ticket))).value !== undefined) return ticket;
    }
    return undefined;
  }

  async function handOver(lease: Lease, key: string): Promise<void> {
    const next = await nextTicket(key).catch(() => undefined); // then the key is simply free
    await lease.release(next);
  }

  async function wait(call: Call, key: string, holder: string): Promise<Lease> {
    const { signal } = call.context;
    const ticket = `${Math.floor(call.incoming.publishedAt * 1000)}-${nuid.next()}`;
    const place = await leases.acquire(ticketKey(key, ticket), empty, { signal });
    try {
      for (let before = holder; ;) {
        await leases.wait(leaseKey(key), before, { signal });
        const taken = await leases.acquire(leaseKey(key), empty, { signal, onLost: call.abort, as: ticket });
        if (isLease(taken)) return taken;
        before = taken.holder;
      }
    } finally {
      if (isLease(place)) await place.release();
    }
  }

  return {
    async run(call: Call, orderingValue: string, execute: () => Promise<Outcome>): Promise<Outcome> {
      const { method, context } = call;
      const key = requestKey((method.source ?? method).contract.name, `${context.caller.userId}\0${orderingValue}`);
      const options = { signal: context.signal, onLost: call.abort };
      const taken = await outlast(call, () => leases.acquire(leaseKey(key), empty, options));
      const lease = isLease(taken) ? taken : await wait(call, key, taken.holder);
      try {
        return await execute();
      } finally {
        await handOver(lease, key);
      }
    },
  };
}

const leaseKey = (key: string) => `order.${key}`;
const ticketKey = (key: string, ticket: string) => `turn.${key}.${ticket}`;
