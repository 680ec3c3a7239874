// Load on both ways at once: durable requests from the oracle, and calls of the typed client on request subjects.
import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/nats-core";
import { createClient, HandlerError } from "../../../src/index.ts";
import { EchoService } from "../../gen/echo/v1/echo_pb.ts";
import type { Oracle } from "./oracle.ts";

/** How one call of the typed client ended. */
export interface Told {
  readonly method: "say" | "once" | "count";
  /** `ok`, `wrong` for an answer to something else, or the code of the error. */
  readonly outcome: string;
  readonly message: string;
  /** `performance.now()` of its begin. */
  readonly begun: number;
  /** How long its caller waited beyond the time that the handler takes, ms. */
  readonly extraMs: number;
}

export interface Load {
  /** Ends the publishing; resolves when everything that was asked is with a stream and every call was told. */
  readonly stop: () => Promise<void>;
  readonly told: readonly Told[];
}

export interface LoadOptions {
  readonly oracle: Oracle;
  /** Connection of the typed client. */
  readonly nc: NatsConnection;
  /** Pause between two durable requests, and between two calls, ms. */
  readonly everyMs: number;
}

/** Text of the answer to a count of `frames`. */
export const counted = (text: string, frames: number) =>
  Array.from({ length: frames }, (_, index) => `${text}${index + 1} `).join("");

export const framesOfCount = 4;

/** Starts. A third of the durable requests stream frames. */
export function startLoad({ oracle, nc, everyMs }: LoadOptions): Load {
  const stopping = new AbortController();
  const client = createClient(EchoService, nc, { durable: false });
  const told: Told[] = [];
  const open = new Set<Promise<void>>();
  const keep = (work: Promise<void>) => {
    open.add(work);
    void work.finally(() => open.delete(work));
  };

  async function call(number: number): Promise<void> {
    const begun = performance.now();
    const text = `c${number}-`;
    const request = { requestId: `call-${number}`, text, delayMs: number % 3 === 2 ? 40 : 150, frames: framesOfCount };
    const method = (["say", "once", "count"] as const)[number % 3] ?? "say";
    let outcome = "ok";
    let message = "";
    try {
      let answer = "";
      if (method === "count") {
        for await (const frame of client.count(request)) answer += frame.text;
        if (answer !== counted(text, framesOfCount)) outcome = "wrong";
      } else {
        answer = (await client[method](request)).text;
        if (answer !== text) outcome = "wrong";
      }
      if (outcome === "wrong") message = answer;
    } catch (reason) {
      const error = HandlerError.from(reason);
      outcome = error.code;
      message = error.message;
    }
    told.push({ method, outcome, message, begun, extraMs: performance.now() - begun - 160 });
  }

  const publish = async () => {
    for (let number = 0; !stopping.signal.aborted; number += 1) {
      const id = `event-${number}`;
      const text = `e${number}-`;
      if (number % 3 === 0) {
        keep(oracle.ask("count", { requestId: id, text, frames: framesOfCount, delayMs: 40, stream: true }));
      } else {
        keep(oracle.ask("once", { requestId: id, text, delayMs: 50 + Math.floor(Math.random() * 300) }));
      }
      keep(call(number));
      await sleep(everyMs * (0.5 + Math.random()));
    }
  };
  const publishing = publish();
  return {
    told,
    async stop() {
      stopping.abort();
      await publishing;
      await Promise.all(open);
    },
  };
}
