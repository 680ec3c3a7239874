// The durable path of a process: every consumer of its methods, and the sweeper.
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import type { Method } from "../call.ts";
import type { Dispatcher, Way } from "../dispatch.ts";
import type { Logger } from "../log.ts";
import type { Names } from "../names.ts";
import type { Publisher } from "../publisher.ts";
import { watchConnection } from "./connection.ts";
import { startConsumer } from "./consumer.ts";
import { createSettle } from "./settle.ts";
import { startSweeper, type Swept } from "./sweeper.ts";

export interface DeliveryOptions {
  readonly nc: NatsConnection;
  readonly handler: string;
  readonly methods: readonly Method[];
  /** Where streams of the contract are if not under their own name. */
  readonly adopted: ReadonlyMap<string, string>;
  readonly names: Names;
  readonly dispatcher: Dispatcher;
  readonly way: Way;
  readonly publisher: Publisher;
  /** Makes what is missing on the server again. */
  readonly recreate: (signal: AbortSignal) => Promise<void>;
  readonly log: Logger;
}

export interface DurablePath {
  /** Messages that may run at once. */
  readonly capacity: number;
  readonly connected: boolean;
  /** Names of consumers that the server does not feed at the moment. */
  readonly unhealthy: readonly string[];
  stopAccepting(): Promise<void>;
  drain(signal: AbortSignal): Promise<void>;
  close(): void;
}

/** Starts pulling. Streams and consumers must exist, or be made by `recreate`. */
export async function openDurablePath(options: DeliveryOptions): Promise<DurablePath> {
  const { nc, handler, methods, names, dispatcher, way, publisher, recreate, log } = options;
  const connection = watchConnection(nc);
  const settle = createSettle({ publisher, names, log });
  const pulled = methods.flatMap((method) => consumersOf(method, options));
  let making: Promise<void> | undefined;
  const recreateOnce = (signal: AbortSignal) =>
    (making ??= recreate(signal).finally(() => {
      making = undefined;
    }));
  const shared = { nc, connection, recreate: recreateOnce, log, dispatcher, way };
  const consumers = pulled.map(({ method, ...one }) =>
    startConsumer({
      ...shared,
      ...one,
      method,
      settle,
      slots: method.contract.concurrency,
      ackWaitMs: method.contract.ackWaitMs,
    }),
  );
  const sweeper =
    pulled.length === 0
      ? undefined
      : startSweeper({
          ...shared,
          jsm: await jetstreamManager(nc, { checkAPI: false }),
          swept: pulled,
          publisher,
          names,
          stream: names.stream.advisories(handler),
          consumer: names.sweeper(handler),
        });
  return {
    capacity: consumers.reduce((sum, { slots }) => sum + slots, 0),
    get connected() {
      return connection.connected;
    },
    get unhealthy() {
      return consumers.filter(({ healthy }) => !healthy).map(({ name }) => name);
    },
    async stopAccepting() {
      await Promise.all([...consumers.map((consumer) => consumer.stopAccepting()), sweeper?.stop()]);
    },
    async drain(signal) {
      await Promise.all(consumers.map((consumer) => consumer.drain(signal)));
    },
    close() {
      for (const consumer of consumers) consumer.close();
    },
  };
}

/** The same consumers that provisioning makes (provision/consumers.ts). */
function consumersOf(method: Method, { handler, adopted, names }: DeliveryOptions): Swept[] {
  const { contract } = method;
  const of = (kind: Swept["kind"], stream: string): Swept => ({
    method,
    kind,
    stream,
    consumer: names.consumer(handler, contract.token, kind),
  });
  const streams = new Set(contract.events.map(({ stream }) => adopted.get(stream) ?? stream));
  const out = [...streams].map((stream) => of("events", stream));
  const called = contract.requestSubjects.length > 0;
  if (called) out.push(of("interactive", names.stream.interactive(handler)));
  if (called || streams.size > 0) out.push(of("retry", names.stream.retry(handler)));
  return out;
}
