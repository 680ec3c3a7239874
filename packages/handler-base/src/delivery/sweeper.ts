// Finds the messages that were given up on: each of their deliveries ended in a crash, so nobody answered them or wrote a dead letter.
// The server says so once, in an advisory that a stream of ours keeps.
//
// I1  An advisory is acknowledged only after the dead letter is stored, or when there is no message any more.
// I2  A message of a private work queue is deleted after that: nothing else would ever remove it.
// I3  An advisory is believed only as far as the server's own state bears it out: a message that its consumer has not delivered yet is left
//     alone. Who may publish advisories is a matter of permissions.
import type { JetStreamManager } from "@nats-io/jetstream";
import type { Msg } from "@nats-io/nats-core";
import type { Method } from "../call.ts";
import type { Dispatcher, Way } from "../dispatch.ts";
import { HandlerError } from "../error.ts";
import { storedHeadersOf } from "../header-block.ts";
import type { Logger } from "../log.ts";
import type { Names } from "../names.ts";
import type { Publisher } from "../publisher.ts";
import { writeDeadLetter } from "./dead-letter.ts";
import type { Delivery } from "./delivery.ts";
import { arrivedFrom, type Kind, type Stored } from "./incoming.ts";
import { startPull, type Pull, type PullOptions } from "./pull.ts";
import { triedTooOften } from "./settlement.ts";

/** A consumer whose lost messages are looked after. */
export interface Swept {
  readonly stream: string;
  readonly consumer: string;
  readonly kind: Kind;
  readonly method: Method;
}

export interface SweeperOptions extends Pick<PullOptions, "nc" | "connection" | "recreate" | "stream" | "consumer"> {
  readonly jsm: JetStreamManager;
  readonly swept: readonly Swept[];
  readonly dispatcher: Pick<Dispatcher, "refuse">;
  readonly way: Way;
  readonly publisher: Publisher;
  readonly names: Names;
  readonly log: Logger;
}

const slots = 4;
const retryDelayMs = 10_000;

interface Advisory {
  readonly stream: string;
  readonly consumer: string;
  readonly seq: number;
  readonly deliveries: number;
}

export function startSweeper(options: SweeperOptions): Pull {
  const { jsm, swept, dispatcher, way, publisher, names, log } = options;
  const stopping = new AbortController();

  /** I3 */
  async function wasDelivered({ stream, consumer, seq }: Advisory): Promise<boolean> {
    const { delivered } = await jsm.consumers.info(stream, consumer);
    return seq <= delivered.stream_seq;
  }

  async function sweep(advisory: Advisory, { kind, method }: Swept): Promise<void> {
    if (!(await wasDelivered(advisory))) return;
    const stored = await read(jsm, advisory);
    if (stored === undefined) return;
    const arrived = arrivedFrom(stored, method, kind);
    const { outcome, requestId } = await dispatcher.refuse(arrived.incoming, way, triedTooOften);
    // A success is an answer that was stored before the last crash.
    if (!outcome.ok) {
      const reason = { cause: "max_deliveries", error: triedTooOften, requestId };
      await writeDeadLetter(publisher, names, arrived, reason, stopping.signal);
      log.warn({ method: method.contract.name, request_id: requestId }, "a message was tried too often without an end");
    }
    if (kind !== "events") await jsm.streams.deleteMessage(advisory.stream, advisory.seq, false);
  }

  const handle = async (delivery: Delivery): Promise<void> => {
    try {
      const advisory = readAdvisory(delivery.message);
      const consumer =
        advisory && swept.find((one) => one.stream === advisory.stream && one.consumer === advisory.consumer);
      if (advisory && consumer) await sweep(advisory, consumer);
      delivery.ack();
    } catch (reason) {
      log.error({ error: HandlerError.from(reason) }, "a given-up message could not be swept; it is tried again");
      delivery.nak(stopping.signal.aborted ? 0 : retryDelayMs);
    } finally {
      delivery.release();
    }
  };

  const pull = startPull({ ...options, slots, onMessage: (delivery) => void handle(delivery) });
  return {
    get running() {
      return pull.running;
    },
    get healthy() {
      return pull.healthy;
    },
    async stop() {
      await pull.stop();
      stopping.abort();
    },
  };
}

function readAdvisory(message: Msg): Advisory | undefined {
  let body: { stream?: unknown; consumer?: unknown; stream_seq?: unknown; deliveries?: unknown } | null;
  try {
    body = message.json();
  } catch {
    return undefined; // no advisory: nobody but the server publishes there
  }
  const { stream, consumer, stream_seq: seq, deliveries } = body ?? {};
  if (typeof stream !== "string" || typeof consumer !== "string" || !isCount(seq)) return undefined;
  return { stream, consumer, seq, deliveries: isCount(deliveries) ? deliveries : 1 };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) > 0;

async function read(jsm: JetStreamManager, { stream, seq, deliveries }: Advisory): Promise<Stored | undefined> {
  const message = await jsm.streams.getMessage(stream, { seq });
  if (message === null) return undefined;
  return {
    stream,
    seq,
    subject: message.subject,
    data: message.data,
    headers: storedHeadersOf(message),
    timeMs: message.time.getTime(),
    deliveries,
  };
}
