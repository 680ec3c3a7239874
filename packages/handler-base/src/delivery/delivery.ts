// One delivered message: what the server is told about it, at most one final word.
import { errors, type Msg } from "@nats-io/nats-core";

/** One delivered message and its slot. The first of `ack`, `nak` and `term` holds; later ones do nothing. */
export interface Delivery {
  readonly message: Msg;
  ack(): void;
  /** Gives it back, to be delivered again after the delay. */
  nak(delayMs: number): void;
  term(reason: string): void;
  /** Tells the server that it is still being worked on. */
  working(): void;
  /** Frees the slot. Call it once, after one of the above; without them the server delivers again after the ack wait. */
  release(): void;
}

const encoder = new TextEncoder();
const nakPayload = encoder.encode("-NAK");
const workingPayload = encoder.encode("+WPI");

/** `onRelease` gets the message and whether it is acknowledged, which it must then tell the server. */
export function createDelivery(message: Msg, onRelease: (message: Msg, acked: boolean) => void): Delivery {
  return new OneDelivery(message, onRelease);
}

class OneDelivery implements Delivery {
  readonly message: Msg;
  readonly #onRelease: (message: Msg, acked: boolean) => void;
  #settled = false;
  #acked = false;

  constructor(message: Msg, onRelease: (message: Msg, acked: boolean) => void) {
    this.message = message;
    this.#onRelease = onRelease;
  }

  ack(): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#acked = true;
  }

  nak(delayMs: number): void {
    this.#settle(delayMs > 0 ? encoder.encode(`-NAK {"delay":${Math.ceil(delayMs) * 1e6}}`) : nakPayload);
  }

  term(reason: string): void {
    this.#settle(encoder.encode(`+TERM ${reason}`));
  }

  working(): void {
    if (!this.#settled) tell(() => this.message.respond(workingPayload));
  }

  release(): void {
    this.#onRelease(this.message, this.#acked);
  }

  #settle(payload: Uint8Array): void {
    if (this.#settled) return;
    this.#settled = true;
    tell(() => this.message.respond(payload));
  }
}

/** Gives a message back that was not started. */
export function giveBack(message: Msg): void {
  tell(() => message.respond(nakPayload));
}

/** On a closed connection nothing can be told: the server delivers again after the ack wait. */
export function tell(publish: () => void): void {
  try {
    publish();
  } catch (reason) {
    if (!(reason instanceof errors.ClosedConnectionError || reason instanceof errors.DrainingConnectionError))
      throw reason;
  }
}
