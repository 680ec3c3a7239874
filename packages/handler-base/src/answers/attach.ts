// Sends the frames of a running or finished answer again, for a reader of the event way that came later.
//
// I1  Frames keep sequence and attempt, and say in a header that they were sent before: a reader sorts by sequence and drops what it has.
// I2  The stream keeps a frame once, however often it is sent again: the Nats-Msg-Id is that of the first time.
import type { JetStreamManager } from "@nats-io/jetstream";
import { headers as natsHeaders, type NatsConnection } from "@nats-io/nats-core";
import type { Call, Method } from "../call.ts";
import type { ServiceContract } from "../contract.ts";
import { covers } from "../subjects.ts";
import type { Logger } from "../log.ts";
import { headers } from "../names.ts";

/** Frames that one reader is sent again at most. */
const mostFrames = 20_000;
const flushEvery = 64;

export interface Attach {
  /** Resolves with the number of frames that were sent again. Never rejects: a reader without frames still gets the final answer. */
  (call: Call): Promise<number>;
}

export interface AttachOptions {
  readonly nc: NatsConnection;
  readonly jsm: JetStreamManager;
  readonly contracts: readonly ServiceContract[];
  /** Where streams of the contract are if not under their own name. */
  readonly adopted: ReadonlyMap<string, string>;
  readonly log: Logger;
}

export function createAttach({ nc, jsm, contracts, adopted, log }: AttachOptions): Attach {
  return async (call) => {
    const stream = framesStream(call.method, contracts);
    if (call.framesSubject === undefined || stream === undefined) return 0;
    let sent = 0;
    try {
      const kept = await jsm.direct.getBatch(adopted.get(stream) ?? stream, {
        seq: 1,
        next_by_subj: call.framesSubject,
        batch: mostFrames,
      });
      for await (const frame of kept) {
        const out = natsHeaders();
        for (const name of [headers.type, headers.contentType, headers.sequence, headers.attempt, "Nats-Msg-Id"]) {
          const value = frame.header.get(name);
          if (value !== "") out.set(name, value);
        }
        out.set(headers.replayed, "true");
        nc.publish(call.framesSubject, frame.data, { headers: out });
        sent += 1;
        if (sent % flushEvery === 0) await nc.flush();
      }
    } catch (error) {
      log.warn({ method: call.method.contract.name, error }, "the frames of an answer could not be sent again");
    }
    return sent;
  };
}

function framesStream({ contract }: Method, contracts: readonly ServiceContract[]): string | undefined {
  const frames = contract.reply?.frames;
  if (frames === undefined) return undefined;
  return contracts
    .flatMap(({ streams }) => streams)
    .find(({ role, subjects }) => role === "frames" && subjects.some((subject) => covers(subject, frames.filter)))
    ?.name;
}
