// One call on its way through the library: what came in, where the answer goes, and how it ended. Transport-neutral: the request
// subject and the durable path differ only in the sink that they give and in who settles.
import type { DescMessage, Message } from "@bufbuild/protobuf";
import type { MsgHdrs } from "@nats-io/nats-core";
import type { ContentType } from "./codec.ts";
import type { CallContext } from "./context.ts";
import type { MethodContract } from "./contract.ts";
import type { SubjectPattern } from "./subjects.ts";
import type { HandlerError } from "./error.ts";
import type { MethodHandler } from "./implement.ts";
import { serviceStopping } from "./stopping.ts";

/** A method of a served service with all that is fixed for it. */
export interface Method {
  readonly contract: MethodContract;
  readonly input: DescMessage;
  readonly output: DescMessage;
  readonly handler: MethodHandler;
  /** For a streaming method that another rpc folds: that rpc. Its type is the one final answer of the event way. */
  readonly folded: Method | undefined;
  /** For a fold: the streaming method that it folds. */
  readonly source: Method | undefined;
}

/** One message as it came in. */
export interface Incoming {
  readonly method: Method;
  readonly way: "request" | "event";
  readonly subject: string;
  /** Pattern of the event subject that matched; undefined on a request subject. */
  readonly pattern: SubjectPattern | undefined;
  readonly data: Uint8Array;
  readonly headers: MsgHdrs | undefined;
  /** Inbox that the caller waits at; undefined where nobody does. Events have none: their answers go to public subjects. */
  readonly replyTo: string | undefined;
  /** Deliveries before this one included, and attempts of earlier copies. */
  readonly attempt: number;
  /** True if this failing attempt would be the last. */
  readonly lastAttempt: boolean;
  /** When the request was first published (server clock, Unix ms), or received where no stream keeps it. */
  readonly publishedAt: number;
  /** Stands for the request id where neither payload nor header has one; undefined = one is made. */
  readonly fallbackId: string | undefined;
  /**
   * When an answer was published that nothing but the connection carries, by `performance.now()`. The sink sets it; who acknowledges the
   * message must not do so across a break of the connection.
   */
  answeredAt?: number | undefined;
}

/** A request that was read, identified and found valid. */
export interface Call {
  readonly incoming: Incoming;
  readonly method: Method;
  readonly request: Message;
  readonly context: CallContext;
  readonly contentType: ContentType;
  /** True if the id was the publisher's own, so that the same request can come again. */
  readonly ownId: boolean;
  /** Public subject of the final answer on the event way; undefined where nobody reads it. */
  readonly responseSubject: string | undefined;
  /** Public subject of frames; undefined where none were asked for. */
  readonly framesSubject: string | undefined;
  /** Aborts the call's signal with this reason; the first reason holds. */
  readonly abort: (reason: HandlerError) => void;
}

/** How a call ended. */
export type Outcome = { readonly ok: true } | { readonly ok: false; readonly error: HandlerError };

/** How a message ended, whether or not it became a call. */
export interface Ended {
  readonly outcome: Outcome;
  /** Undefined where the message could not be read so far. */
  readonly requestId: string | undefined;
}

/**
 * Where the answer of one call goes. `frame` resolves when the reader can take more (back-pressure) and rejects with a HandlerError
 * when it never will. `finish` and `fail` are called once, and nothing after them.
 */
export interface ReplySink {
  readonly frame: (frame: Message, sequence: number) => Promise<void> | void;
  /** `answer` is the one message of a unary call, the folded answer of a stream that has one, else undefined. */
  readonly finish: (answer: Message | undefined) => Promise<void> | void;
  readonly fail: (error: HandlerError) => Promise<void> | void;
  /** In place of these: somebody else speaks for the request. Nothing more is told, and what the sink holds is freed. Idempotent. */
  readonly abandon: () => void;
}

/**
 * Whether a failure is answered: it is no use to try again, or nobody will. A failure that will be retried stays silent, and so does the
 * stop of the service on the durable path: another replica goes on.
 */
export function isFinal(error: HandlerError, incoming: Incoming): boolean {
  if (error === serviceStopping) return incoming.way === "request";
  return !error.retryable || incoming.lastAttempt;
}
