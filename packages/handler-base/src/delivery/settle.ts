// Carries out what the settlement table decides.
//
// I1  A message is acknowledged or ended only after what takes its place is stored.
// I2  Where that cannot be stored the message is given back; deliveries that this uses up end with the sweeper.
import type { Ended } from "../call.ts";
import type { Maybe } from "../maybe.ts";
import type { Logger } from "../log.ts";
import type { Names } from "../names.ts";
import { writeDeadLetter } from "./dead-letter.ts";
import type { Delivery } from "./delivery.ts";
import type { Arrived } from "./incoming.ts";
import type { Publisher } from "../publisher.ts";
import { scheduleCopy } from "./retry.ts";
import { decide, type Decision } from "./settlement.ts";

export interface Settling extends Ended {
  readonly arrived: Arrived;
  readonly delivery: Pick<Delivery, "ack" | "nak" | "term">;
  /** Ends the wait for the server; the message is then given back. */
  readonly signal: AbortSignal;
}

/** Settles one message; gives what was decided when the server has been told, at once where nothing must be stored. Never throws or rejects. */
export type Settle = (settling: Settling) => Maybe<Decision>;

export interface SettleOptions {
  readonly publisher: Publisher;
  readonly names: Names;
  readonly log: Logger;
}

const notStoredDelayMs = 5000;

export function createSettle({ publisher, names, log }: SettleOptions): Settle {
  /** I1, I2 */
  async function afterStored<T extends Decision>(
    decision: T,
    { arrived, delivery, requestId, signal }: Settling,
    store: () => Promise<void>,
    say: () => void,
  ): Promise<T> {
    try {
      await store();
      say();
    } catch (reason) {
      const { method, attempt } = arrived.incoming;
      const lines = { method: method.contract.name, request_id: requestId, attempt, error: reason };
      log.error(lines, `${decision.kind} could not be stored; the message is given back`);
      delivery.nak(signal.aborted ? 0 : notStoredDelayMs);
    }
    return decision;
  }

  return (settling) => {
    const { arrived, delivery, outcome, requestId, signal } = settling;
    const { incoming } = arrived;
    const decision = decide(outcome, incoming, incoming.method.contract.retry, Math.random());
    switch (decision.kind) {
      case "ack":
        delivery.ack();
        return decision;
      case "nak":
        delivery.nak(decision.delayMs);
        return decision;
      case "copy":
        return afterStored(
          decision,
          settling,
          () => scheduleCopy(publisher, names, arrived, { ...decision, requestId }, signal),
          () => delivery.ack(),
        );
      case "dead_letter":
        return afterStored(
          decision,
          settling,
          () => writeDeadLetter(publisher, names, arrived, { ...decision, requestId }, signal),
          () => delivery.term(decision.cause),
        );
      default:
        return unreachable(decision);
    }
  };
}

function unreachable(decision: never): never {
  throw new Error(`unknown decision ${JSON.stringify(decision)}`);
}
