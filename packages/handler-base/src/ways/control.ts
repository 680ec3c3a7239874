// The control protocol of one call: the caller's credits and its cancel, on a subject of the call's own.
//
// The body is ASCII: `credits N` (frames granted in all since the call began, so that a repeat is harmless) or `cancel`. Both are repeated
// by the caller until it sees the end. Credits are a lease: a caller that says nothing for `leaseMs` is taken for gone.
import { Empty, headers as natsHeaders, type NatsConnection, type Subscription } from "@nats-io/nats-core";
import { isToken } from "../subjects.ts";
import { HandlerError } from "../error.ts";
import { headers } from "../names.ts";

/** Silence of a caller after which its call is aborted, ms. */
export const leaseMs = 3000;
/** How often a caller repeats its credits, and a service says that it is still working, ms. */
export const repeatMs = 1000;

export type ControlMessage = { readonly credits: number } | "cancel";

export function encodeControl(message: ControlMessage): string {
  return message === "cancel" ? "cancel" : `credits ${message.credits}`;
}

/** Undefined for what is no control message: it is ignored. */
export function decodeControl(text: string): ControlMessage | undefined {
  if (text === "cancel") return "cancel";
  const credits = /^credits (\d{1,9})$/.exec(text)?.[1];
  return credits === undefined ? undefined : { credits: Number(credits) };
}

/** Throws `invalid_argument` unless the token is one literal token of the length that clients make. */
export function checkControlToken(token: string): string {
  if (!isToken(token) || token.length > 64) {
    throw new HandlerError("header Handler-Control must be one literal subject token", "invalid_argument");
  }
  return token;
}

const working = natsHeaders();
working.set(headers.status, "working");

/** Tells a caller that its call is alive. Only for callers that gave a control token: others would take it for an answer. */
export function sayWorking(nc: NatsConnection, inbox: string): void {
  if (nc.isClosed()) return; // a timer calls this: it must not throw
  nc.publish(inbox, Empty, { headers: working });
}

/** The service's side of one call's control subject. */
export class CallControl {
  #granted: number;
  #used = 0;
  #lastWord = performance.now();
  #waiting: (() => void) | undefined;
  #subscription: Subscription | undefined;
  readonly #nc: NatsConnection;
  readonly #subject: string;
  readonly #abort: (reason: HandlerError) => void;

  /** `credits` undefined: a caller that only wants to be able to cancel; it is never out of credits. */
  constructor(nc: NatsConnection, subject: string, credits: number | undefined, abort: (reason: HandlerError) => void) {
    this.#nc = nc;
    this.#subject = subject;
    this.#granted = credits ?? Number.POSITIVE_INFINITY;
    this.#abort = abort;
  }

  /** Listens from now on. Idempotent. */
  open(): void {
    this.#subscription ??= this.#nc.subscribe(this.#subject, {
      callback: (error, message) => {
        if (!error) this.#hear(decodeControl(message.string().slice(0, 32)));
      },
    });
  }

  #hear(message: ControlMessage | undefined): void {
    if (message === undefined) return;
    this.#lastWord = performance.now();
    if (message === "cancel") {
      this.#abort(new HandlerError("the caller canceled the call", "canceled"));
    } else if (message.credits > this.#granted) {
      this.#granted = message.credits;
      this.#waiting?.();
    }
  }

  /** Uses one credit; resolves when there is one. */
  take(): Promise<void> | undefined {
    this.#used += 1;
    if (this.#used <= this.#granted) return undefined;
    return new Promise((resolve) => {
      this.#waiting = () => {
        if (this.#used > this.#granted) return;
        this.#waiting = undefined;
        resolve();
      };
    });
  }

  /**
   * Aborts the call of a silent caller; with `goesOn`, lets it run on without credits: on the durable path nothing is given up because
   * nobody listens.
   */
  checkLease(now: number, goesOn: boolean): void {
    if (now - this.#lastWord <= leaseMs) return;
    if (!goesOn) {
      this.#abort(new HandlerError("the caller is gone: it gave no credits", "canceled"));
      return;
    }
    this.#granted = Number.POSITIVE_INFINITY;
    this.#waiting?.();
  }

  /** Whether the caller bounds what it is sent. */
  get givesCredits(): boolean {
    return Number.isFinite(this.#granted);
  }

  close(): void {
    this.#subscription?.unsubscribe();
    this.#subscription = undefined;
    this.#waiting = undefined;
  }
}
