// Runs a request at most once at a time and gives its stored answer to whoever asks again.
//
// I1  Whoever runs a request holds the claim on it, and looks for a stored answer after it got the claim, unless nobody had it before.
// I2  Another user or another message under the same id gets `already_exists`, and nothing of the first one's answer.
// I3  The claim is free when the call is over, whatever its end; a waiting duplicate then finds the answer, or runs the request itself.
// I4  A call that ends for good before it had the claim is answered too, unless somebody else has it or has answered: another user's call
//     under the same id must not end with this one's error.
import { nuid } from "@nats-io/nats-core";
import { isFinal, type Call, type Outcome, type ReplySink } from "../call.ts";
import type { Maybe } from "../maybe.ts";
import type { Once } from "../dispatch.ts";
import { HandlerError } from "../error.ts";
import { ClaimedSink } from "./claimed-sink.ts";
import type { Finals, Question, StoredFinal } from "./finals.ts";
import { isLease, type Lease, type Leases } from "./lease.ts";
import { outlast } from "./outlast.ts";
import { claimKey, questionOf } from "./question.ts";
import { answerAgain, hasInbox } from "./replay.ts";
import type { Attach } from "./attach.ts";
import type { FramePublisher } from "./frames.ts";

export interface OnceOptions {
  readonly finals: Finals;
  readonly leases: Leases;
  readonly frames: FramePublisher;
  readonly attach: Attach;
}

/** How long storing an error may take after the call has ended, ms. */
const storeErrorWithinMs = 10_000;

type Execute = (sink: ReplySink) => Maybe<Outcome>;

export function createOnce({ finals, leases, frames, attach }: OnceOptions): Once {
  async function runClaimed(
    call: Call,
    question: Question,
    claim: Lease,
    inner: ReplySink,
    execute: Execute,
  ): Promise<Outcome> {
    const sink = new ClaimedSink({ call, question, claim, finals, inner });
    try {
      const outcome = await execute(sink);
      return sink.outcome ?? outcome;
    } catch (reason) {
      if (sink.outcome) return sink.outcome;
      const error = HandlerError.from(reason);
      await sink.fail(error);
      return sink.outcome ?? { ok: false, error };
    }
  }

  async function serve(call: Call, question: Question, stored: StoredFinal, sink: ReplySink): Promise<Outcome> {
    checkSame(question, stored.fingerprint);
    return answerAgain(call, question, stored, sink, { finals, frames, attach });
  }

  /** I4 */
  async function storeError(call: Call, question: Question, error: HandlerError): Promise<boolean> {
    if (error.code === "already_exists" || hasInbox(call) || !isFinal(error, call.incoming)) return false;
    const signal = AbortSignal.timeout(storeErrorWithinMs);
    // While the store of claims is away nobody has one.
    const claim = await leases.acquire(claimKey(question.key), valueOf(question), { signal }).catch(() => undefined);
    if (claim && !isLease(claim)) return false;
    try {
      if (await finals.get(question)) return false;
      const options = { holder: nuid.next(), attempt: call.incoming.attempt, signal };
      return (await finals.store(question, { ok: false, error }, options)) === "stored";
    } catch {
      return false; // the dead letter tells it
    } finally {
      await claim?.release();
    }
  }

  return {
    async run(call, sink, execute) {
      const question = questionOf(call);
      const { signal } = call.context;
      const key = claimKey(question.key);
      const value = valueOf(question);
      const look = () => outlast(call, () => finals.get(question));
      const acquire = () => outlast(call, () => leases.acquire(key, value, { signal, onLost: call.abort }));
      let attached = false;
      let speaks = hasInbox(call);
      try {
        for (;;) {
          const looked = look();
          looked.catch(() => undefined); // awaited below, after the claim
          const claim = await acquire().catch(async (reason: unknown) => {
            const error = HandlerError.from(reason);
            if (!attached && (await storeError(call, question, error))) speaks = true;
            throw error;
          });
          if (isLease(claim)) {
            speaks = true;
            try {
              const stored = (await looked) ?? (claim.fresh ? undefined : await look());
              if (stored) return await serve(call, question, stored, sink);
              return await runClaimed(call, question, claim, sink, execute);
            } finally {
              await claim.release();
            }
          }
          const stored = await looked;
          if (stored) return await serve(call, question, stored, sink);
          checkSame(question, new TextDecoder().decode(claim.value));
          if (!attached && !hasInbox(call)) await attach(call); // what comes from now on reaches the reader by itself
          attached = true;
          await leases.wait(key, claim.holder, { signal });
        }
      } catch (reason) {
        if (!speaks) sink.abandon(); // I4
        throw reason;
      }
    },
  };
}

const valueOf = ({ fingerprint }: Question) => new TextEncoder().encode(fingerprint);

function checkSame(question: Question, fingerprint: string): void {
  if (question.fingerprint === fingerprint) return;
  throw new HandlerError("another request has this id: use an id of its own for each request", "already_exists");
}
