// Carries out what the settlement table decides.
//
// I1  A message is acknowledged or ended only after what takes its place is stored.
// I2  Where that cannot be stored the message is given back; deliveries that this uses up end with the sweeper.
import type { Ended } from "../call.ts";
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

/** Settles one message; resolves with what was decided when the server has been told. Never rejects. */
export type Settle = (settling: Settling) => Promise<Decision>;

export interface SettleOptions {
  readonly publisher: Publisher;
  readonly names: Names;
  readonly log: Logger;
}

const notStoredDelayMs = 5000;

export function createSettle({ publisher, names, log }: SettleOptions): Settle {
  return async ({ arrived, delivery, outcome, requestId, signal }) => {
    const { incoming } = arrived;
    const { contract } = incoming.method;
    const decision = decide(outcome, incoming, contract.retry, Math.random());
    try {
      switch (decision.kind) {
        case "ack":
          delivery.ack();
          break;
        case "nak":
          delivery.nak(decision.delayMs);
          break;
        case "copy":
          await scheduleCopy(publisher, names, arrived, { ...decision, requestId }, signal);
          delivery.ack();
          break;
        case "dead_letter":
          await writeDeadLetter(publisher, names, arrived, { ...decision, requestId }, signal);
          delivery.term(decision.cause);
          break;
        default:
          unreachable(decision);
      }
    } catch (reason) {
      const lines = { method: contract.name, request_id: requestId, attempt: incoming.attempt, error: reason };
      log.error(lines, `${decision.kind} could not be stored; the message is given back`);
      delivery.nak(signal.aborted ? 0 : notStoredDelayMs);
    }
    return decision;
  };
}

function unreachable(decision: never): never {
  throw new Error(`unknown decision ${JSON.stringify(decision)}`);
}
