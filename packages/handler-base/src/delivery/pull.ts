// Pulls the messages of one durable consumer, exactly as many as there are free slots, and keeps doing so whatever happens to the server.
//
// I1  What was asked for and what runs never exceed the slots; so `num_ack_pending` of the consumer never exceeds the slots of all its
//     pull loops. Only messages given back with a delay count there as well, until they are due.
// I2  An acknowledgement is handled by the server before the request for the slot that it frees. Apart they would race inside the server:
//     so the last acknowledgement carries the request, and those before it go out at once, behind the answers that they belong to.
//     An acknowledgement that was held back while the connection broke is not sent: the answer before it may be lost.
// I3  After `stop` nothing is started; what still arrives is given back at once.
// I4  It never gives up: a lost inbox is replaced after a wait of 200 ms that doubles up to 30 s, at once after a reconnect, and a
//     consumer that is gone is made again first. Making it takes long where leaders are missing: an election is waited for instead.
import { setTimeout as sleep } from "node:timers/promises";
import type { Msg, NatsConnection } from "@nats-io/nats-core";
import { HandlerError } from "../error.ts";
import type { Logger } from "../log.ts";
import { patiently } from "../patience.ts";
import type { ConnectionWatch } from "./connection.ts";
import { createDelivery, giveBack, tell, type Delivery } from "./delivery.ts";
import { openPullInbox, type Loss, type PullInbox } from "./pull-inbox.ts";

export interface PullOptions {
  readonly nc: NatsConnection;
  readonly connection: ConnectionWatch;
  readonly stream: string;
  readonly consumer: string;
  /** Messages that run at once. */
  readonly slots: number;
  /** Starts the work of one message. Must not throw; the message holds its slot until it is released. */
  readonly onMessage: (delivery: Delivery) => void;
  /** Makes the consumer again when the server does not know it. Rejections are logged and tried again. */
  readonly recreate: (signal: AbortSignal) => Promise<void>;
  readonly log: Logger;
  /** How long the server keeps a request. Default 30 s. */
  readonly expiresMs?: number;
  /** How often the server says that it still keeps it. Default 5 s. At most a third of `expiresMs`: at half of it the server is silent until the end. */
  readonly heartbeatMs?: number;
}

export interface Pull {
  readonly running: number;
  /** Whether the server is being asked and answers. */
  readonly healthy: boolean;
  /** Resolves when no further message can start; those that run go on and can still be settled. Idempotent. */
  stop(): Promise<void>;
}

const firstWaitMs = 200;
const longestWaitMs = 30_000;
/** A consumer that nobody serves may only wait for the election of its leader: for so long it is asked again every second at least. */
const electionMs = 6000;
const longestElectionWaitMs = 1000;
const ackPayload = new TextEncoder().encode("+ACK");

export function startPull(options: PullOptions): Pull {
  const { nc, connection, slots, log } = options;
  const stopping = new AbortController();
  // Below this many free slots the requests that are open serve: one for each slot would soon be more than the server keeps (512).
  const worthAsking = Math.ceil(slots / 4);
  // So many are asked for while others of the same turn still run: else the server and this process would wait for each other in turns.
  const askedAtOnce = Math.max(16, worthAsking);
  /** Reply subject of the last message that was acknowledged, until the server is told. */
  let held: string | undefined;
  let heldSince = 0;
  let running = 0;
  let inbox: PullInbox | undefined;
  let planned: NodeJS.Immediate | undefined;
  let closing: Promise<void> = Promise.resolve();

  /** Few slots that become free within one turn of the event loop lead to one request. */
  const plan = () => {
    planned ??= setImmediate(() => {
      planned = undefined;
      flush();
    });
  };

  const freeSlots = () => slots - running - (inbox?.outstanding ?? 0);

  const flush = () => {
    const free = freeSlots();
    const asking = inbox && free > 0 && (inbox.outstanding === 0 || free >= worthAsking) ? inbox : undefined;
    if (asking === undefined) return sendHeld();
    const carrier = takeHeld();
    tell(() => asking.ask(free, carrier)); // I2
  };

  const takeHeld = (): string | undefined => {
    const reply = heldSince === connection.upSince ? held : undefined;
    held = undefined;
    return reply;
  };

  const sendHeld = (): void => {
    const reply = takeHeld();
    if (reply !== undefined) tell(() => nc.publish(reply, ackPayload));
  };

  const released = (message: Msg, acked: boolean): void => {
    running -= 1;
    if (acked) {
      sendHeld();
      held = message.reply;
      heldSince = connection.upSince;
    }
    if (stopping.signal.aborted || freeSlots() >= askedAtOnce) flush();
    else plan();
  };

  const start = (message: Msg) => {
    if (running >= slots) return giveBack(message); // I1: the server counted differently
    running += 1;
    options.onMessage(createDelivery(message, released));
    if (inbox?.outstanding === 0) plan();
  };

  const session = async (): Promise<Loss> => {
    const { promise, resolve } = Promise.withResolvers<Loss>();
    const opened = openPullInbox({
      nc,
      stream: options.stream,
      consumer: options.consumer,
      expiresMs: options.expiresMs ?? 30_000,
      heartbeatMs: options.heartbeatMs ?? 5000,
      onMessage: start,
      onExpired: plan,
      onLost: resolve,
    });
    const onChange = (connected: boolean) => connected || opened.lose("disconnected");
    connection.listeners.add(onChange);
    inbox = opened;
    flush();
    const loss = await promise;
    connection.listeners.delete(onChange);
    inbox = undefined;
    closing = patiently(opened.close()); // what the server delivers unheard comes again after the ack wait
    return loss;
  };

  const supervise = async () => {
    const { signal } = stopping;
    let waitMs = firstWaitMs;
    let unansweredSince: number | undefined;
    for (;;) {
      await connection.untilConnected(signal);
      const loss = await session();
      signal.throwIfAborted();
      const unanswered = loss.reason === "unanswered";
      const again = unanswered && unansweredSince !== undefined; // one line an outage is enough
      log[again ? "debug" : "warn"](
        { stream: options.stream, consumer: options.consumer, ...loss },
        "pulling was interrupted",
      );
      if (loss.heard) waitMs = firstWaitMs;
      if (loss.reason === "disconnected") continue;
      await sleep(waitMs * (0.8 + 0.4 * Math.random()), undefined, { signal });
      waitMs = Math.min(unanswered ? longestElectionWaitMs : longestWaitMs, waitMs * 2);
      unansweredSince = unanswered ? (unansweredSince ?? performance.now()) : undefined;
      const lasts = unansweredSince !== undefined && performance.now() - unansweredSince > electionMs;
      if (loss.reason !== "missing" && !lasts) continue;
      unansweredSince = undefined;
      try {
        await options.recreate(signal);
      } catch (reason) {
        signal.throwIfAborted();
        const { message, code } = HandlerError.from(reason);
        log.warn({ consumer: options.consumer, code, error: reason }, `the consumer cannot be made: ${message}`);
      }
    }
  };
  const supervised = supervise().catch((reason: unknown) => {
    if (!stopping.signal.aborted) log.error({ error: reason }, "pulling ended");
  });

  return {
    get running() {
      return running;
    },
    get healthy() {
      return inbox !== undefined && connection.connected;
    },
    async stop() {
      stopping.abort();
      inbox?.lose("stopped");
      flush();
      await supervised;
      await closing;
    },
  };
}
