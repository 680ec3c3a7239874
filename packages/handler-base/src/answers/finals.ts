// Stored final answers: one stream a root, one message a request, put on the public subject by the server itself.
//
// I1  Store first, then publish: only what was stored reaches the public subject, so a request has one final answer whoever runs it twice.
// I2  The stored message has no expected-sequence header: the server copies headers when it republishes, and a stream that captures the
//     public subject would refuse the answer.
// I3  A stored success is never purged, only an error is.
import { setTimeout as pause } from "node:timers/promises";
import { JetStreamApiError, type JetStreamManager } from "@nats-io/jetstream";
import type { DescMessage, Message } from "@bufbuild/protobuf";
import type { MsgHdrs, NatsConnection } from "@nats-io/nats-core";
import { answerHeaders, errorAnswer, errorFromHeaders, setErrorHeaders } from "../answer.ts";
import type { ClaimCheck } from "../claim-check.ts";
import { contentTypeOf, decode, encode, loadMessagePack, type ContentType } from "../codec.ts";
import { HandlerError } from "../error.ts";
import { headers, names as namesOf, type Installation } from "../names.ts";
import type { Publisher } from "../publisher.ts";

const fingerprintHeader = "Handler-Fingerprint";
const holderHeader = "Handler-Holder";

/** How long one try to store may take, ms, and how long to wait before the next. */
const storeTimeoutMs = 2000;
const storePauseMs = 200;

/** Which request is answered, and in what form. */
export interface Question {
  readonly key: string;
  readonly publicSubject: string;
  readonly fingerprint: string;
  readonly requestId: string;
  /** Type of the answer. */
  readonly desc: DescMessage;
  readonly contentType: ContentType;
}

/** How a request ended: the answer, or an error that stands. */
export type Final =
  | { readonly ok: true; readonly answer: Message }
  | { readonly ok: false; readonly error: HandlerError };

export interface StoredFinal {
  readonly final: Final;
  readonly fingerprint: string;
  /** Who stored it. */
  readonly holder: string;
  /** Attempt that gave it. */
  readonly attempt: number;
  /** Server's time, Unix ms with a fraction. */
  readonly storedAt: number;
}

export interface StoreOptions {
  readonly holder: string;
  readonly attempt: number;
  readonly signal: AbortSignal;
}

export interface Finals {
  /** Stores the final answer; the server then publishes it. Tries until the signal or the end of the connection ends it. `alreadyStored`: another holder's answer stands. */
  store(question: Question, final: Final, options: StoreOptions): Promise<"stored" | "alreadyStored">;
  /** The stored answer to a request; undefined if there is none. Throws `unavailable`. */
  get(question: Question): Promise<StoredFinal | undefined>;
  /** Whether an answer is stored, whoever asked. Throws `unavailable`. */
  has(key: string, publicSubject: string): Promise<boolean>;
  /** Publishes a stored answer again, for a reader who came later. */
  publishAgain(question: Question, stored: StoredFinal): Promise<void>;
  /** Removes a stored error, so that a replay runs. A success stays. True if an error was removed. */
  purgeError(key: string, publicSubject: string): Promise<boolean>;
}

export interface FinalsOptions {
  readonly nc: NatsConnection;
  readonly jsm: JetStreamManager;
  readonly publisher: Publisher;
  readonly installation: Installation;
  readonly claimCheck: ClaimCheck | undefined;
}

export function createFinals({ nc, jsm, publisher, installation, claimCheck }: FinalsOptions): Finals {
  const names = namesOf(installation);
  const streamOf = (publicSubject: string) => names.stream.finals(rootOf(publicSubject, installation.subjectPrefix));

  async function find(key: string, publicSubject: string) {
    try {
      return await jsm.direct.getMessage(streamOf(publicSubject), { seq: 1, next_by_subj: names.finals(key) });
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  async function messageOf({ desc, contentType, requestId }: Question, final: Final) {
    const out = answerHeaders(desc, contentType);
    let body: Uint8Array;
    if (final.ok) {
      out.set(headers.status, "ok");
      body = encode(desc, final.answer, contentType);
    } else {
      setErrorHeaders(out, final.error);
      body = encode(desc, errorAnswer(desc, final.error, requestId), contentType);
    }
    out.set(headers.requestId, requestId);
    if (claimCheck?.isTooLarge(body)) {
      await claimCheck.store(body, out);
      body = new Uint8Array();
    }
    return { body, out };
  }

  return {
    async store(question, final, { holder, attempt, signal }) {
      const { key, publicSubject, fingerprint } = question;
      const { body, out } = await messageOf(question, final);
      out.set(fingerprintHeader, fingerprint);
      out.set(holderHeader, holder);
      out.set(headers.attempt, String(attempt));
      for (;;) {
        signal.throwIfAborted();
        if (nc.isClosed()) throw unavailable("the connection was closed");
        try {
          await publisher.publish(names.final(key, publicSubject), body, {
            headers: out,
            timeoutMs: storeTimeoutMs,
            signal,
          });
          return "stored";
        } catch (reason) {
          if (isTaken(reason)) {
            const stored = await find(key, publicSubject).catch(() => null); // not known yet: found out by the next try
            if (stored) return isOurs(stored.header, holder, final) ? "stored" : "alreadyStored";
          } else if (reason instanceof JetStreamApiError && reason.status < 500) {
            throw new HandlerError("the answer could not be stored", "internal", { cause: reason, retryable: false });
          }
        }
        await pause(storePauseMs, undefined, { signal });
      }
    },

    async get({ key, publicSubject, desc }) {
      const message = await find(key, publicSubject);
      if (message === null) return undefined;
      const from = message.header;
      const data = claimCheck ? await claimCheck.load(message.data, from) : message.data;
      const contentType = contentTypeOf(from.get(headers.contentType), data);
      if (contentType === "application/msgpack") await loadMessagePack();
      const answer = decode(desc, data, contentType);
      return {
        final: finalOf(from, answer, desc),
        fingerprint: from.get(fingerprintHeader),
        holder: from.get(holderHeader),
        attempt: Number(from.get(headers.attempt)) || 1,
        storedAt: exactTime(message.timestamp),
      };
    },

    has: async (key, publicSubject) => (await find(key, publicSubject)) !== null,

    async publishAgain(question, stored) {
      const { body, out } = await messageOf(question, stored.final);
      out.set(headers.attempt, String(stored.attempt));
      out.set(headers.replayed, "true");
      nc.publish(question.publicSubject, body, { headers: out });
      await nc.flush();
    },

    async purgeError(key, publicSubject) {
      const message = await find(key, publicSubject);
      if (message === null || !isError(message.header)) return false;
      // Up to this message only: what another replay has stored since stays.
      const { purged } = await jsm.streams.purge(streamOf(publicSubject), {
        filter: names.finals(key),
        seq: message.seq + 1,
      });
      return purged > 0;
    },
  };
}

/** First token of a public subject after the installation prefix: which stream keeps its answers. */
export function rootOf(publicSubject: string, subjectPrefix: string): string {
  const own = publicSubject.startsWith(subjectPrefix) ? publicSubject.slice(subjectPrefix.length) : publicSubject;
  return own.slice(0, own.indexOf("."));
}

/** Whether the stored answer is the one that an earlier try, whose acknowledgement was lost, has stored. */
const isOurs = (from: MsgHdrs, holder: string, { ok }: Final) =>
  from.get(holderHeader) === holder && isError(from) !== ok;

/** RFC 3339 with nanoseconds, of which a Date keeps the milliseconds only. */
function exactTime(text: string): number {
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? "0";
  return Date.parse(text.replace(/\.\d+/, "")) + Number(`0.${fraction}`) * 1000;
}

const isError = (from: MsgHdrs) => from.has(headers.error) || from.has(headers.errorCode);

function finalOf(from: MsgHdrs, answer: Message, desc: DescMessage): Final {
  const error = isError(from) ? errorFromHeaders(from, answer, desc) : undefined;
  if (error === undefined) return { ok: true, answer };
  const { message, code, retryAfterMs, violations } = error;
  // Whatever its code says: it is the answer now, and another attempt would get the same one.
  return {
    ok: false,
    error: new HandlerError(message, code, { retryable: false, violations, ...(retryAfterMs && { retryAfterMs }) }),
  };
}

/** `maximum messages per subject exceeded` has no error code of its own: it comes as a failed store. */
function isTaken(reason: unknown): boolean {
  return reason instanceof JetStreamApiError && reason.message.includes("maximum messages per subject");
}

const unavailable = (cause: unknown) =>
  new HandlerError("the store of answers does not answer", "unavailable", { cause, retryAfterMs: 1000 });
