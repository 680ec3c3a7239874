// The sink of a call that holds the claim on its request.
//
// I1  A frame leaves only while the claim is held: a process that was paused does not speak when it wakes up.
// I2  The final is stored before anybody is told. Where another's answer stands already, that one is told.
// I3  One end: what comes after `finish` or `fail` is dropped.
import type { Message } from "@bufbuild/protobuf";
import type { Call, Outcome, ReplySink } from "../call.ts";
import { HandlerError } from "../error.ts";
import { serviceStopping } from "../stopping.ts";
import type { Final, Finals, Question } from "./finals.ts";
import type { Lease } from "./lease.ts";

/** How long storing an error may take after the call's own time is over, ms. */
const failWithinMs = 10_000;

export interface ClaimedSinkOptions {
  readonly call: Call;
  readonly question: Question;
  readonly claim: Lease;
  readonly finals: Finals;
  /** Who hears it. */
  readonly inner: ReplySink;
}

export class ClaimedSink implements ReplySink {
  readonly #options: ClaimedSinkOptions;
  #ending: Promise<void> | undefined;
  #outcome: Outcome | undefined;

  constructor(options: ClaimedSinkOptions) {
    this.#options = options;
  }

  /** How the request ended for everybody; undefined while it has no final answer. */
  get outcome(): Outcome | undefined {
    return this.#outcome;
  }

  frame(frame: Message, sequence: number): Promise<void> | void {
    this.#checkClaim();
    return this.#options.inner.frame(frame, sequence);
  }

  async finish(answer: Message | undefined): Promise<void> {
    const { call } = this.#options;
    if (answer === undefined) throw new Error(`${call.method.contract.name} gave no answer`);
    this.#checkClaim();
    this.#ending = this.#end({ ok: true, answer }, call.context.signal);
    await this.#ending;
  }

  async fail(reason: HandlerError): Promise<void> {
    const { call, claim, inner } = this.#options;
    // The deadline may pass while `finish` is storing the answer. What it achieves stands.
    await Promise.allSettled([this.#ending]);
    if (this.#outcome) return;
    if (claim.held && isStorable(reason, call)) {
      this.#ending = this.#end({ ok: false, error: reason }, AbortSignal.timeout(failWithinMs));
      await this.#ending;
      return;
    }
    // Whoever has the claim now speaks for the request. A caller of ours who waits at an inbox is told.
    if (claim.held || call.incoming.way === "request") await inner.fail(reason);
    else inner.abandon();
  }

  abandon(): void {
    this.#options.inner.abandon();
  }

  async #end(final: Final, signal: AbortSignal): Promise<void> {
    const { call, question, claim, finals, inner } = this.#options;
    const attempt = call.incoming.attempt;
    const stored = await finals.store(question, final, { holder: claim.holder, attempt, signal });
    const standing = stored === "stored" ? final : ((await finals.get(question))?.final ?? final);
    this.#outcome = standing.ok ? { ok: true } : standing;
    await (standing.ok ? inner.finish(standing.answer) : inner.fail(standing.error));
  }

  #checkClaim(): void {
    if (this.#ending) throw new HandlerError("the call has ended", "canceled");
    if (!this.#options.claim.held) throw new HandlerError("the claim on this request was lost", "aborted");
  }
}

/** Whether an error is the answer to the request, not just to this try. */
function isStorable(error: HandlerError, { incoming: { way, lastAttempt } }: Call): boolean {
  const { code, retryable } = error;
  if (error === serviceStopping) return false; // another replica goes on
  if (code === "already_exists" || code === "canceled") return false;
  // A caller who waits at an inbox set the time; another who asks the same may have more.
  if (way === "request") return !retryable && code !== "deadline_exceeded";
  return !retryable || lastAttempt;
}
