// One call as its caller sees it: inbox, deadline, credits, liveness, and the durable subject where nobody serves the request subject.
//
// I1  A request is sent again only on "no responders", when no replica can have seen it. A timeout or RESOURCE_EXHAUSTED is told.
// I2  Every call has an inbox, a deadline and a control subject of its own; whatever ends the call closes them and tells the service.
import { type Message } from "@bufbuild/protobuf";
import {
  createInbox,
  headers as natsHeaders,
  nuid,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
} from "@nats-io/nats-core";
import type { ClaimCheck } from "./claim-check.ts";
import { encode } from "./codec.ts";
import type { MethodContract } from "./contract.ts";
import { HandlerError } from "./error.ts";
import { headers, type Names } from "./names.ts";
import { encodeControl, repeatMs } from "./ways/control.ts";

export interface CallOptions {
  /** Cancels the call; the service is told. */
  signal?: AbortSignal;
  /** Time for the whole call, ms. Default: the contract's. */
  timeoutMs?: number;
  /** When the call must be done, Unix ms; for nested calls: `context.deadline`. The earlier of the two holds. */
  deadline?: number;
  /** Headers of the request, a `traceparent` for example. */
  headers?: Readonly<Record<string, string>>;
}

/** What all calls of a client share. */
export interface ClientEnvironment {
  readonly nc: NatsConnection;
  readonly names: Names;
  readonly claimCheck: ClaimCheck;
  readonly window: number;
  readonly durable: boolean;
}

/** Keep-alives that may be missing before the service is taken for dead. */
const missedKeepAlives = 3;

/** One call as its caller sees it: inbox, control subject, deadline, liveness. */
export class OutgoingCall {
  readonly #shared: ClientEnvironment;
  readonly #contract: MethodContract;
  readonly #options: CallOptions;
  readonly #token = nuid.next();
  readonly #inbox = createInbox();
  readonly #deadline: number;
  readonly #received: Msg[] = [];
  #granted: number | undefined;
  #wake: (() => void) | undefined;
  #failure: HandlerError | undefined;
  #heard = performance.now();
  #durable = false;
  #ended = false;
  #sent: { data: Uint8Array; base: readonly (readonly [string, string])[] } | undefined;
  #subscription: { unsubscribe(): void } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #deadlineTimer: NodeJS.Timeout | undefined;
  readonly #onAbort = () => this.#fail(HandlerError.from(this.#options.signal?.reason), true);

  constructor(shared: ClientEnvironment, contract: MethodContract, options: CallOptions, credits: number | undefined) {
    this.#shared = shared;
    this.#contract = contract;
    this.#options = options;
    this.#granted = credits;
    this.#deadline = Math.min(options.deadline ?? Infinity, Date.now() + (options.timeoutMs ?? contract.deadlineMs));
  }

  async send(request: Message): Promise<void> {
    const { signal } = this.#options;
    if (signal?.aborted) throw canceled(signal.reason);
    const [subject] = this.#contract.requestSubjects;
    if (subject === undefined) {
      throw new HandlerError(
        `${this.#contract.name} is reached by events only: publish on ${this.#contract.events.map(({ pattern }) => pattern.text).join(" or ")}`,
        "unimplemented",
      );
    }
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    this.#subscription = this.#shared.nc.subscribe(this.#inbox, {
      callback: (error, message) =>
        error
          ? this.#fail(new HandlerError("the reply inbox failed", "unavailable", { cause: error }))
          : this.#hear(message),
    });
    const data = encode(this.#contract.desc.input, request, "application/x-protobuf");
    const base: [string, string][] = Object.entries(this.#options.headers ?? {});
    base.push([headers.type, this.#contract.desc.input.typeName], [headers.control, this.#token]);
    if (this.#granted !== undefined) base.push([headers.credits, String(this.#granted)]);
    let body = data;
    if (this.#shared.claimCheck.isTooLarge(data)) {
      const out = natsHeaders();
      await this.#shared.claimCheck.store(data, out);
      base.push([headers.claimCheck, out.get(headers.claimCheck)]);
      body = new Uint8Array();
    }
    this.#sent = { data: body, base };
    const left = this.#deadline - Date.now();
    if (left <= 0) throw new HandlerError("the deadline has passed", "deadline_exceeded");
    this.#deadlineTimer = setTimeout(
      () => this.#fail(new HandlerError("the deadline has passed", "deadline_exceeded"), true),
      left,
    );
    this.#timer = setInterval(() => this.#beat(), repeatMs);
    this.#shared.nc.publish(subject, body, { reply: this.#inbox, headers: this.#headers(left) });
  }

  #headers(left: number, replyTo?: string): MsgHdrs {
    const out = natsHeaders();
    for (const [key, value] of this.#sent?.base ?? []) out.set(key, value);
    out.set(headers.deadlineMs, String(Math.max(1, Math.floor(left))));
    if (replyTo) out.set(headers.replyTo, replyTo);
    return out;
  }

  #hear(message: Msg): void {
    this.#heard = performance.now();
    if (message.headers?.code === 503) {
      this.#fallBack();
      return;
    }
    if (message.headers?.get(headers.status) === "working") return;
    this.#received.push(message);
    this.#wake?.();
  }

  /** Nobody serves the request subject: the durable one keeps the request until somebody does (I1). */
  #fallBack(): void {
    if (this.#durable || !this.#shared.durable) {
      this.#fail(
        new HandlerError(`nobody serves ${this.#contract.name}`, "unavailable", {
          retryAfterMs: 1000,
        }),
      );
      return;
    }
    this.#durable = true;
    const left = this.#deadline - Date.now();
    this.#shared.nc
      .request(this.#shared.names.durable(this.#contract.name), this.#sent?.data, {
        timeout: Math.max(1, Math.min(left, 5000)),
        headers: this.#headers(left, this.#inbox),
      })
      .then((ack) => {
        const { error } = ack.json<{ error?: { description?: string } }>();
        if (error)
          this.#fail(
            new HandlerError("the durable subject did not take the request", "unavailable", {
              cause: error,
            }),
          );
      })
      .catch((cause: unknown) => {
        this.#fail(
          new HandlerError(`nobody serves ${this.#contract.name}, and no stream keeps requests for it`, "unavailable", {
            cause,
            retryAfterMs: 1000,
          }),
        );
      });
  }

  /** Repeats the credits, and notices a service that has died. */
  #beat(): void {
    if (this.#granted !== undefined) this.#control(encodeControl({ credits: this.#granted }));
    else this.#control(encodeControl({ credits: 0 }));
    // On the durable path silence means that no replica has begun; once one has, its silence is death, but another one will go on.
    if (
      !this.#durable &&
      this.#received.length === 0 &&
      performance.now() - this.#heard > (missedKeepAlives + 1) * repeatMs
    ) {
      this.#fail(new HandlerError("the service died or was cut off during the call", "unavailable"), true);
    }
  }

  #control(text: string): void {
    if (!this.#shared.nc.isClosed()) this.#shared.nc.publish(this.#shared.names.control(this.#token), text);
  }

  /** One more frame may come. Sent in steps of a quarter of the window. */
  grant(): void {
    if (this.#granted === undefined) return;
    this.#granted += 1;
    if (this.#granted % Math.max(1, Math.floor(this.#shared.window / 4)) === 0)
      this.#control(encodeControl({ credits: this.#granted }));
  }

  /** The next message that is no keep-alive. Rejects with the HandlerError that ended the call. */
  async next(): Promise<Msg> {
    for (;;) {
      const message = this.#received.shift();
      if (message) {
        if (message.data.length === 0 || this.#granted === undefined) this.#ended = true;
        return message;
      }
      if (this.#failure) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #fail(reason: HandlerError, tell = false): void {
    if (this.#failure || this.#ended) return;
    this.#failure = reason;
    if (tell) this.#cancel();
    this.#wake?.();
  }

  #cancel(): void {
    // Three times: the service opens a unary call's control subject only after a moment.
    for (const afterMs of [0, 100, 400]) setTimeout(() => this.#control("cancel"), afterMs).unref();
  }

  close(): void {
    if (!this.#ended && !this.#failure) this.#cancel();
    clearInterval(this.#timer);
    clearTimeout(this.#deadlineTimer);
    this.#subscription?.unsubscribe();
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
  }
}

const canceled = (reason: unknown) =>
  reason instanceof HandlerError ? reason : new HandlerError("the call was canceled", "canceled", { cause: reason });
