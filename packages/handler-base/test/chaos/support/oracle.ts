// The oracle: a publisher that knows only subjects and message types. It remembers what it asked and everything that it heard.
//
// I1  A request counts once the server has said that it is stored; until then it is published again.
// I2  Finals that are sent again to a later reader, as their headers say, are counted apart.
import { setTimeout as sleep } from "node:timers/promises";
import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import type { Msg, NatsConnection } from "@nats-io/nats-core";
import {
  EchoFrameSchema,
  EchoRequestSchema,
  EchoResponseSchema,
  type EchoFrame,
  type EchoResponse,
} from "../../gen/echo/v1/echo_pb.ts";

export interface Asked {
  readonly id: string;
  readonly method: "say" | "once" | "count";
  readonly text: string;
  /** `performance.now()` at which the stream had it. */
  readonly at: number;
  readonly again: () => Promise<void>;
}

export interface HeardFinal {
  readonly answer: EchoResponse;
  readonly at: number;
}

export interface Oracle {
  readonly asked: ReadonlyMap<string, Asked>;
  /** Publishes a request until a stream has it. */
  readonly ask: (
    method: Asked["method"],
    request: MessageInitShape<typeof EchoRequestSchema> & { requestId: string },
    signal?: AbortSignal,
  ) => Promise<void>;
  /** Finals of a request, whoever asked it. */
  readonly finals: (id: string) => readonly HeardFinal[];
  /** Finals that were stored before and sent again. */
  readonly repeated: (id: string) => readonly HeardFinal[];
  readonly frames: (id: string) => readonly EchoFrame[];
  readonly unanswered: () => string[];
  /** Waits until every request that was asked has a final. */
  readonly untilAllAnswered: (withinMs: number) => Promise<void>;
}

export async function openOracle(nc: NatsConnection): Promise<Oracle> {
  const asked = new Map<string, Asked>();
  const finals = new Map<string, HeardFinal[]>();
  const repeated = new Map<string, HeardFinal[]>();
  const frames = new Map<string, EchoFrame[]>();
  const listen = (subject: string, take: (id: string, message: Msg) => void) =>
    nc.subscribe(subject, {
      callback: (error, message) => {
        if (error) throw error;
        take(message.subject.split(".").at(-1) ?? "", message);
      },
    });
  for (const subject of ["echo.said.*", "echo.onced.*", "echo.counted.*"]) {
    listen(subject, (id, message) => {
      const one = { answer: fromBinary(EchoResponseSchema, message.data), at: performance.now() };
      const known = message.headers?.has("Handler-Replayed") ? repeated : finals; // I2
      known.set(id, [...(known.get(id) ?? []), one]);
    });
  }
  listen("echo.frames.*", (id, message) => {
    if (message.headers?.has("Handler-Replayed")) return;
    let known = frames.get(id);
    if (known === undefined) frames.set(id, (known = []));
    known.push(fromBinary(EchoFrameSchema, message.data));
  });
  await nc.flush();
  const unanswered = () => [...asked.keys()].filter((id) => !finals.has(id));
  const publish: Oracle["ask"] = async (method, request, signal) => {
    const data = toBinary(EchoRequestSchema, create(EchoRequestSchema, request));
    for (;;) {
      try {
        const ack = await nc.request(`echo.${method}`, data, { timeout: 2000 });
        const { error, seq } = ack.json<{ error?: unknown; seq?: number }>();
        if (error === undefined && typeof seq === "number") break;
      } catch {
        signal?.throwIfAborted(); // no answer: it may be stored or not, and is asked again
      }
      await sleep(100, undefined, signal && { signal });
    }
  };
  return {
    asked,
    async ask(method, request, signal) {
      const { requestId: id, text = "" } = request;
      await publish(method, request, signal);
      asked.set(id, { id, method, text, at: performance.now(), again: () => publish(method, request, signal) });
    },
    finals: (id) => finals.get(id) ?? [],
    repeated: (id) => repeated.get(id) ?? [],
    frames: (id) => frames.get(id) ?? [],
    unanswered,
    async untilAllAnswered(withinMs) {
      const end = performance.now() + withinMs;
      while (unanswered().length > 0) {
        if (performance.now() > end) {
          const left = unanswered();
          throw new Error(
            `${left.length} of ${asked.size} requests have no answer after ${withinMs} ms: ${left.slice(0, 10).join(", ")}`,
          );
        }
        await sleep(50);
      }
    },
  };
}
