// Publishes into streams and waits for the server's word, many at once: one subscription and one timer for all of them. The client's own
// `js.publish` costs three times as much processor time.
//
// I1  Every publish settles: with the server's answer, its refusal, a timeout, an abort or the end of the connection.
// I2  A rejection other than a refusal leaves open whether the message was stored: publish again with the same Nats-Msg-Id.
import { JetStreamApiError, type ApiError } from "@nats-io/jetstream";
import { createInbox, type Msg, type MsgHdrs, type NatsConnection } from "@nats-io/nats-core";
import { HandlerError } from "./error.ts";

export interface PublishOptions {
  readonly headers?: MsgHdrs;
  /** How long to wait for the server's word, ms. */
  readonly timeoutMs: number;
  /** Ends the wait; the promise rejects with its reason. */
  readonly signal?: AbortSignal;
}

export interface Published {
  readonly stream: string;
  readonly seq: number;
  /** The stream already held a message with this Nats-Msg-Id. */
  readonly duplicate: boolean;
}

export interface Publisher {
  /**
   * Rejects with a JetStreamApiError where the stream refuses (its `code` is the server's err_code, 10071 = wrong last sequence, 10077 =
   * the subject holds a message already), and with an `unavailable` HandlerError where no stream answers.
   */
  publish(subject: string, data: Uint8Array, options: PublishOptions): Promise<Published>;
  /** Ends every wait. Idempotent. */
  close(): void;
}

/** Answers that may be awaited at once. */
const mostWaiting = 4096;
const sweepMs = 50;

interface Waiting {
  readonly until: number;
  readonly settle: (answer: Published | Error) => void;
}

export function createPublisher(nc: NatsConnection): Publisher {
  const inbox = createInbox();
  const waiting = new Map<string, Waiting>();
  let number = 0;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  const subscription = nc.subscribe(`${inbox}.*`, {
    callback: (error, message) => {
      if (error) return endAll(unavailable("no answers can be received", error));
      const one = waiting.get(message.subject);
      if (one) one.settle(read(message));
    },
  });
  void subscription.closed.then(() => endAll(unavailable("the connection was closed")));

  const endAll = (error: Error) => {
    for (const one of waiting.values()) one.settle(error);
  };
  const sweep = () => {
    const now = performance.now();
    for (const one of waiting.values()) if (one.until <= now) one.settle(unavailable("no stream answered in time"));
  };

  return {
    async publish(subject, data, { headers, timeoutMs, signal }) {
      signal?.throwIfAborted();
      if (closed || nc.isClosed()) throw unavailable("the connection is closed");
      if (waiting.size >= mostWaiting) {
        throw new HandlerError("too many publishes wait for the server", "resource_exhausted", { retryAfterMs: 1000 });
      }
      const reply = `${inbox}.${(number += 1).toString(36)}`;
      const { promise, resolve, reject } = Promise.withResolvers<Published>();
      const aborted = () => settle(HandlerError.from(signal?.reason));
      const settle = (answer: Published | Error) => {
        waiting.delete(reply);
        signal?.removeEventListener("abort", aborted);
        if (waiting.size === 0) {
          clearInterval(timer);
          timer = undefined;
        }
        if (answer instanceof Error) reject(answer);
        else resolve(answer);
      };
      nc.publish(subject, data, { reply, ...(headers && { headers }) });
      waiting.set(reply, { until: performance.now() + timeoutMs, settle });
      timer ??= setInterval(sweep, sweepMs);
      signal?.addEventListener("abort", aborted);
      return await promise;
    },
    close() {
      closed = true;
      subscription.unsubscribe();
      endAll(unavailable("the publisher was closed"));
    },
  };
}

function read(message: Msg): Published | Error {
  if (message.headers?.code === 503) return unavailable("no stream takes this subject");
  try {
    const answer = message.json<Partial<Published> & { error?: ApiError }>();
    if (answer.error) return new JetStreamApiError(answer.error);
    if (typeof answer.stream === "string" && typeof answer.seq === "number") {
      return { stream: answer.stream, seq: answer.seq, duplicate: answer.duplicate === true };
    }
    return unavailable("something other than a stream answered");
  } catch (cause) {
    return unavailable("something other than a stream answered", cause);
  }
}

const unavailable = (message: string, cause?: unknown) =>
  new HandlerError(`publish: ${message}`, "unavailable", { cause, retryAfterMs: 1000 });
