// One inbox for pull requests: what was asked for there, what came, and whether the server still answers.
//
// I1  `outstanding` is what the server may still send: it grows with each request and shrinks with each message and each status that
//     ends a request. It is never less than what is under way.
// I2  While something is outstanding the server is heard at least every heartbeat; two missed ones, a refusal or the end of the
//     connection lose the inbox, once. A lost inbox is not used again: what the server counts for it is unknown.
// I3  What arrives at a lost inbox is given back at once and never started.
import { createInbox, type Msg, type NatsConnection } from "@nats-io/nats-core";
import { giveBack } from "./delivery.ts";

/** Why an inbox was lost: `missing` = the consumer was deleted; `unanswered` = nobody serves it: it is gone, or has no leader at the moment. */
export interface Loss {
  readonly reason: "missing" | "unanswered" | "refused" | "silent" | "disconnected" | "stopped";
  /** What the server said, in its words; empty where it said nothing. */
  readonly detail: string;
  /** Whether anything was heard before. */
  readonly heard: boolean;
}

export interface PullInboxOptions {
  readonly nc: NatsConnection;
  readonly stream: string;
  readonly consumer: string;
  readonly expiresMs: number;
  readonly heartbeatMs: number;
  readonly onMessage: (message: Msg) => void;
  /** A request ended without messages: what it asked for can be asked for again. */
  readonly onExpired: () => void;
  readonly onLost: (loss: Loss) => void;
}

export interface PullInbox {
  readonly outstanding: number;
  /** Asks for `batch` messages; with `carrier`, the reply subject of a message, the same message acknowledges that one first. */
  ask(batch: number, carrier: string | undefined): void;
  lose(reason: Loss["reason"], detail?: string): void;
  /** Resolves when nothing can arrive here any more. Call it once the inbox is lost. */
  close(): Promise<void>;
}

const deleted = /consumer deleted|stream deleted/i;

export function openPullInbox(options: PullInboxOptions): PullInbox {
  const { nc, stream, consumer, expiresMs, heartbeatMs } = options;
  const subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
  const reply = createInbox();
  const requests = new Map<number, { pull: Uint8Array; next: Uint8Array }>();
  let outstanding = 0;
  let missed = 0;
  let heard = false;
  let loss: Loss | undefined;

  const lose = (reason: Loss["reason"], detail = "") => {
    if (loss) return;
    loss = { reason, detail, heard };
    clearInterval(timer);
    options.onLost(loss);
  };

  const status = (message: Msg) => {
    const code = message.headers?.code ?? 0;
    const detail = message.headers?.description ?? "";
    switch (code) {
      case 100:
        return;
      case 404:
      case 408: {
        const left = Number(message.headers?.get("Nats-Pending-Messages") || Number.NaN);
        // A request that does not say what it left open cannot be accounted for.
        if (!(left >= 0)) return lose("refused", detail);
        outstanding = Math.max(0, outstanding - left);
        return options.onExpired();
      }
      case 503:
        return lose("unanswered", "no responders");
      default:
        return lose(deleted.test(detail) ? "missing" : "refused", `${code} ${detail}`);
    }
  };

  const subscription = nc.subscribe(reply, {
    callback: (error, message) => {
      if (error) return lose("refused", error.message);
      const isMessage = message.reply !== undefined && message.reply !== "";
      if (loss) {
        if (isMessage) giveBack(message); // I3
        return;
      }
      missed = 0;
      if (!isMessage) return status(message);
      heard = true;
      outstanding = Math.max(0, outstanding - 1);
      options.onMessage(message);
    },
  });

  // Ticks are counted, not time: a blocked event loop finds many beats waiting in the socket and must not take itself for forgotten. Ticks
  // and beats are equally far apart and late by milliseconds, so two ticks may fall between two beats; a third means that two are missing.
  const timer = setInterval(() => {
    if (outstanding === 0) return;
    missed += 1;
    if (missed >= 3) lose("silent", `nothing heard for ${2 * heartbeatMs} ms`);
  }, heartbeatMs);

  const encoded = (batch: number) => {
    let found = requests.get(batch);
    if (found === undefined) {
      const body = JSON.stringify({ batch, expires: expiresMs * 1e6, idle_heartbeat: heartbeatMs * 1e6 });
      const encoder = new TextEncoder();
      found = { pull: encoder.encode(body), next: encoder.encode(`+NXT ${body}`) };
      requests.set(batch, found);
    }
    return found;
  };

  return {
    get outstanding() {
      return outstanding;
    },
    ask(batch, carrier) {
      if (outstanding === 0) missed = 0;
      outstanding += batch;
      const { pull, next } = encoded(batch);
      if (carrier === undefined) nc.publish(subject, pull, { reply });
      else nc.publish(carrier, next, { reply });
    },
    lose,
    async close() {
      clearInterval(timer);
      if (nc.isClosed()) return;
      // Without a connection nothing is under way, and a subscription that survives would be taken up again after the reconnect.
      if (loss?.reason === "disconnected") return subscription.unsubscribe();
      await subscription.drain();
    },
  };
}
