// Answers to a reply inbox: one message for a unary call; frames, then an empty message that ends the stream, for a streaming one.
//
// I1  The last message of a stream has an empty body, so that a bare client's request-many sentinel works; its headers hold the status.
// I2  To a caller that gave a control token a keep-alive goes out after each second of silence.
// I3  A failure that will be retried on the durable path stays silent.
// I4  No frame leaves without a credit, where the caller gives credits; others are bounded by their deadline and by what the socket takes.
import type { Message } from "@bufbuild/protobuf";
import { Empty, headers as natsHeaders, type NatsConnection } from "@nats-io/nats-core";
import { answerHeaders, errorAnswer, errorFrame, goodAnswerHeaders, setErrorHeaders } from "../answer.ts";
import { isFinal, type Call, type ReplySink } from "../call.ts";
import type { ClaimCheck } from "../claim-check.ts";
import { encode } from "../codec.ts";
import { HandlerError } from "../error.ts";
import type { Clock, Ticking } from "../live-call.ts";
import { headers, type Names } from "../names.ts";
import { CallControl, checkControlToken, repeatMs, sayWorking } from "./control.ts";

/** After how many frames to a bare caller the socket is waited for. */
const flushEvery = 64;
/** Calls that end within this time never need their control subject. */
const openControlAfterMs = 50;

export interface InboxSinkOptions {
  readonly nc: NatsConnection;
  readonly names: Names;
  readonly clock: Clock;
  readonly claimCheck: ClaimCheck | undefined;
}

/** A sink for the inbox `replyTo`. Throws `invalid_argument` on control headers that make no sense. */
export function createInboxSink(call: Call, replyTo: string, options: InboxSinkOptions): ReplySink {
  const given = call.incoming.headers;
  const token = given?.get(headers.control);
  if (!token) return new InboxSink(call, replyTo, options, undefined);
  const credits = creditsOf(given?.get(headers.credits));
  const control = new CallControl(options.nc, options.names.control(checkControlToken(token)), credits, call.abort);
  return new InboxSink(call, replyTo, options, control);
}

class InboxSink implements ReplySink, Ticking {
  place = -1;
  readonly #call: Call;
  readonly #replyTo: string;
  readonly #options: InboxSinkOptions;
  readonly #control: CallControl | undefined;
  readonly #streaming: boolean;
  readonly #begun = performance.now();
  #lastSent = performance.now();
  #sequence = 0;

  constructor(call: Call, replyTo: string, options: InboxSinkOptions, control: CallControl | undefined) {
    this.#call = call;
    this.#replyTo = replyTo;
    this.#options = options;
    this.#control = control;
    this.#streaming = call.method.handler.kind === "server_streaming";
    if (control) {
      if (this.#streaming) control.open();
      options.clock.add(this);
    }
  }

  frame(frame: Message, sequence: number): Promise<void> | undefined {
    const credit = this.#control?.take();
    if (credit) return credit.then(() => this.#publishFrame(frame, sequence));
    return this.#publishFrame(frame, sequence);
  }

  #publishFrame(frame: Message, sequence: number): Promise<void> | undefined {
    const { output } = this.#call.method;
    const out = answerHeaders(output, this.#call.contentType);
    out.set(headers.sequence, String(sequence));
    out.set(headers.attempt, String(this.#call.incoming.attempt));
    this.#sequence = sequence;
    const sent = this.#send(encode(output, frame, this.#call.contentType), out);
    if (sent) return sent;
    // Where nobody gives credits, what keeps the memory bounded is waiting for the socket now and then.
    return !this.#control?.givesCredits && sequence % flushEvery === 0 ? this.#options.nc.flush() : undefined;
  }

  finish(answer: Message | undefined): Promise<void> | undefined {
    this.#close();
    if (this.#streaming) {
      const out = natsHeaders();
      out.set(headers.status, "ok");
      return this.#end(out);
    }
    const { output } = this.#call.method;
    if (answer === undefined) throw new Error(`${this.#call.method.contract.name} gave no answer`);
    const out = goodAnswerHeaders(output, this.#call.contentType);
    return this.#send(encode(output, answer, this.#call.contentType), out);
  }

  fail(error: HandlerError): Promise<void> | undefined {
    this.#close();
    const { method, context, contentType, incoming } = this.#call;
    if (!isFinal(error, incoming)) return undefined;
    const { requestId } = context;
    if (!this.#streaming) {
      const out = setErrorHeaders(answerHeaders(method.output, contentType), error);
      return this.#send(encode(method.output, errorAnswer(method.output, error, requestId), contentType), out);
    }
    const at = { requestId, sequence: this.#sequence + 1, attempt: incoming.attempt };
    const out = setErrorHeaders(answerHeaders(method.output, contentType), error);
    out.set(headers.sequence, String(at.sequence));
    out.set(headers.attempt, String(at.attempt));
    void this.#send(encode(method.output, errorFrame(method.output, error, at), contentType), out);
    return this.#end(setErrorHeaders(natsHeaders(), error));
  }

  abandon(): void {
    this.#close();
  }

  tick(now: number): void {
    if (this.#options.nc.isClosed()) return; // for good, and nobody can be told
    if (now - this.#begun > openControlAfterMs) this.#control?.open();
    if (now - this.#lastSent >= repeatMs) {
      this.#lastSent = now;
      sayWorking(this.#options.nc, this.#replyTo);
    }
    this.#control?.checkLease(now, this.#call.incoming.way === "event");
  }

  #end(out: ReturnType<typeof natsHeaders>): undefined {
    out.set(headers.sequence, String(this.#sequence + 1));
    out.set(headers.attempt, String(this.#call.incoming.attempt));
    this.#publish(Empty, out);
  }

  #send(data: Uint8Array, out: ReturnType<typeof natsHeaders>): Promise<void> | undefined {
    const { claimCheck } = this.#options;
    if (claimCheck?.isTooLarge(data)) {
      const claimed = natsHeaders();
      for (const [name, [value = ""]] of out) claimed.set(name, value);
      return claimCheck.store(data, claimed).then(() => this.#publish(Empty, claimed));
    }
    this.#publish(data, out);
    return undefined;
  }

  #publish(data: Uint8Array, out: ReturnType<typeof natsHeaders>): void {
    this.#lastSent = performance.now();
    this.#call.incoming.answeredAt = this.#lastSent;
    this.#options.nc.publish(this.#replyTo, data, { headers: out });
  }

  #close(): void {
    this.#control?.close();
    this.#options.clock.delete(this);
  }
}

function creditsOf(text: string | undefined): number | undefined {
  if (!text) return undefined;
  const credits = Number(text);
  if (!Number.isInteger(credits) || credits < 1 || credits > 1_000_000) {
    throw new HandlerError(`header ${headers.credits} must be a whole number from 1 to 1000000`, "invalid_argument");
  }
  return credits;
}
