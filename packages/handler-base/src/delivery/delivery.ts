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

/** `onRelease` gets whether the message is acknowledged, which it must then tell the server. */
export function createDelivery(message: Msg, onRelease: (acked: boolean) => void): Delivery {
  let settled = false;
  let acked = false;
  const settle = (payload: Uint8Array) => {
    if (settled) return;
    settled = true;
    tell(() => message.respond(payload));
  };
  return {
    message,
    ack() {
      if (settled) return;
      settled = true;
      acked = true;
    },
    nak: (delayMs) => settle(delayMs > 0 ? encoder.encode(`-NAK {"delay":${Math.ceil(delayMs) * 1e6}}`) : nakPayload),
    term: (reason) => settle(encoder.encode(`+TERM ${reason}`)),
    working() {
      if (!settled) tell(() => message.respond(workingPayload));
    },
    release: () => onRelease(acked),
  };
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
