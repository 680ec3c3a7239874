// Names of everything private to the library: subjects below `_…`, private streams, buckets and headers. Subjects that publishers
// know are spelled in the contract (proto/) and nowhere else; what stands here is derived from an installation and a handler's name.
import { createHash } from "node:crypto";

/** Headers of our own. Every one of them is optional on a request. */
export const headers = {
  /** `application/x-protobuf` (default), `application/json` or `application/msgpack`; answers use the request's. */
  contentType: "Content-Type",
  /** Full name of the message type in the body. */
  type: "Handler-Type",
  /** Time that is left for the call, ms. */
  deadlineMs: "Handler-Deadline-Ms",
  /** Number of a frame within its attempt, from 1. */
  sequence: "Handler-Sequence",
  /** Attempt that wrote a frame or that a retry copy is, from 1. */
  attempt: "Handler-Attempt",
  /** In the last frame: `ok`; in a keep-alive: `working`. Errors use the ADR-32 headers. */
  status: "Handler-Status",
  /** Time to wait before trying again, ms. */
  retryAfterMs: "Handler-Retry-After-Ms",
  /** Token of the call's control subject. */
  control: "Handler-Control",
  /** Frames that the caller takes before it gives more credits. */
  credits: "Handler-Credits",
  /** Inbox of a call that came through the durable subject. */
  replyTo: "Handler-Reply-To",
  /** Identifies the request where the payload does not. */
  requestId: "Handler-Request-Id",
  /** On a frame that was sent before and is sent again to a reader who came later. */
  replayed: "Handler-Replayed",
  /** Object that holds a payload too large for a message. */
  claimCheck: "Handler-Claim-Check",
  /** On retry copies and dead letters: subject, time of the first publish (Unix ms) and absolute deadline (Unix ms). */
  originalSubject: "Handler-Original-Subject",
  publishedAt: "Handler-Published-At",
  deadlineAt: "Handler-Deadline-At",
  /** On retry copies and dead letters: stream and sequence of the first message of the chain, `STREAM-17`. */
  origin: "Handler-Origin",
  /** On dead letters: code, message and deliveries. */
  cause: "Handler-Cause",
  causeMessage: "Handler-Cause-Message",
  deliveries: "Handler-Deliveries",
  /** ADR-32. */
  error: "Nats-Service-Error",
  errorCode: "Nats-Service-Error-Code",
} as const;

/** One of several installations that share an account. */
export interface Installation {
  /** Its name; empty for the only one. */
  readonly name: string;
  /** Goes before every subject: empty or `name.`. */
  readonly subjectPrefix: string;
  /** Goes before the name of every stream, consumer, bucket and queue group: empty or `name_`. */
  readonly namePrefix: string;
}

/** An installation by its name: letters, digits and dashes, or empty. Throws a RangeError on any other. */
export function installation(name: string): Installation {
  if (!/^[A-Za-z0-9-]{0,32}$/.test(name)) {
    throw new RangeError("an installation prefix has at most 32 letters, digits and dashes");
  }
  return {
    name,
    subjectPrefix: name === "" ? "" : `${name}.`,
    namePrefix: name === "" ? "" : `${name}_`,
  };
}

/** Private names of one installation. */
export function names(at: Installation) {
  const { subjectPrefix: s, namePrefix: n } = at;
  return {
    queue: `${n}q`,
    /** Control subject of one call; the token is one literal subject token. */
    control: (token: string) => `${s}_ctl.${token}`,
    /** Subject of the durable fallback of a request subject. */
    durable: (method: string) => `${s}_durable.${method}`,
    /** Where the final answer of one request is stored; the server republishes it on the public subject. */
    final: (key: string, publicSubject: string) => `${s}_final.${key}.${publicSubject}`,
    finals: (key: string) => `${s}_final.${key}.>`,
    /** Where copies of failed messages wait, and where they come out. */
    later: (handler: string, key: string) => `${s}_later.${handler}.${key}`,
    retry: (handler: string, method: string) => `${s}_retry.${handler}.${method}`,
    deadLetter: (handler: string, method: string, cause: string) => `${s}_dlq.${handler}.${method}.${cause}`,
    stream: {
      interactive: (handler: string) => `${n}INTERACTIVE_${upper(handler)}`,
      retry: (handler: string) => `${n}RETRY_${upper(handler)}`,
      deadLetters: (handler: string) => `${n}DLQ_${upper(handler)}`,
      /** Stored answers whose public subjects start with the token `root`; one stream a root. */
      finals: (root: string) => `${n}FINALS_${upper(root)}`,
      /** Server notices of messages that were delivered too often; what the sweeper reads. */
      advisories: (handler: string) => `${n}ADVISORIES_${upper(handler)}`,
    },
    /** What the private streams capture. */
    captured: {
      retry: (handler: string) => [`${s}_later.${handler}.>`, `${s}_retry.${handler}.>`],
      deadLetters: (handler: string) => [`${s}_dlq.${handler}.>`],
      /** `root` is the first token of public subjects, without the installation's prefix. */
      finals: (root: string) => ({ src: `${s}_final.*.${s}${root}.>`, dest: `${s}${root}.>` }),
      advisory: (stream: string, consumer: string) =>
        `$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.${stream}.${consumer}`,
    },
    bucket: {
      /** Leases on work in flight and on ordering keys. */
      leases: `${n}handler_leases`,
      /** Objects that hold payloads too large for a message. */
      claimChecks: `${n}handler_payloads`,
      /** A bucket that a service declares for itself. */
      own: (name: string) => `${n}${name}`,
    },
    /** Durable consumer of a method on a stream. */
    consumer: (handler: string, method: string, kind: "events" | "retry" | "interactive") =>
      `${n}${handler}_${method}_${kind}`,
    /** Durable consumer of a handler's advisories. */
    sweeper: (handler: string) => `${n}${handler}_sweeper`,
  };
}

export type Names = ReturnType<typeof names>;

/** Token of a request in private subjects and keys: one way, so that ids never widen a subject. */
export function requestKey(method: string, requestId: string): string {
  return createHash("sha256").update(method).update("\0").update(requestId).digest("base64url").slice(0, 32);
}

const upper = (handler: string) => handler.replaceAll("-", "_").toUpperCase();
