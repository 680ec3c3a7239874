// What the tests of the durable path share: a server, a stream with a consumer, and a log that keeps its lines.
import { setTimeout as sleep } from "node:timers/promises";
import { jetstreamManager, type ConsumerConfig, type JetStreamManager } from "@nats-io/jetstream";
import { nanos, type NatsConnection } from "@nats-io/nats-core";
import type { NatsFixture } from "@pipeline/testkit";
import { watchConnection, type ConnectionWatch } from "../../src/delivery/connection.ts";
import type { Logger } from "../../src/log.ts";

export interface Line {
  readonly level: string;
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

/** A logger that keeps what it is told. */
export function keepLog(lines: Line[] = []): { log: Logger; lines: Line[] } {
  const at = (level: string) => (fields: Record<string, unknown>, message: string) => {
    lines.push({ level, fields, message });
  };
  const log: Logger = {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: () => log,
  };
  return { log, lines };
}

export interface Bench {
  readonly nc: NatsConnection;
  readonly connection: ConnectionWatch;
  readonly jsm: JetStreamManager;
  /** Makes the work-queue stream `WORK` on `work.>` and its consumer `worker`; again and again if need be. */
  readonly prepare: (settings?: Partial<ConsumerConfig>) => Promise<void>;
  /** Publishes `count` messages `work.item` whose payload is their number. */
  readonly publish: (count: number, from?: number) => Promise<void>;
}

export const stream = "WORK";
export const consumer = "worker";

export async function openBench(server: NatsFixture): Promise<Bench> {
  const nc = await server.connect();
  const jsm = await jetstreamManager(nc);
  const js = jsm.jetstream();
  return {
    nc,
    connection: watchConnection(nc),
    jsm,
    async prepare(settings = {}) {
      await jsm.streams.add({ name: stream, subjects: ["work.>"], retention: "workqueue", storage: "file" });
      await jsm.consumers.add(stream, {
        durable_name: consumer,
        ack_policy: "explicit",
        ack_wait: nanos(30_000),
        max_deliver: 5,
        max_ack_pending: 1000,
        filter_subjects: ["work.>"],
        ...settings,
      });
    },
    async publish(count, from = 0) {
      const numbers = Array.from({ length: count }, (_, index) => from + index);
      while (numbers.length > 0) {
        await Promise.all(numbers.splice(0, 200).map((number) => js.publish("work.item", String(number))));
      }
    },
  };
}

/** Waits until `done` says so; fails with what `state` tells after `withinMs`. */
export async function until(
  done: () => boolean | Promise<boolean>,
  state: () => unknown = () => "",
  withinMs = 60_000,
): Promise<void> {
  const end = performance.now() + withinMs;
  while (!(await done())) {
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${JSON.stringify(state())}`);
    await sleep(20);
  }
}
