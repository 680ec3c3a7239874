// The dead letters of services: found, shown, published again, dropped.
//
// I1  A letter is removed only after the server has confirmed that its message is stored on the original subject.
// I2  A replay begins anew: attempt, deadline, inbox and every `Nats-*` header stay behind; the request's stored error is purged first, a
//     stored success never is (the replay then gets that answer).
// I3  Nothing is published on a subject that the contract does not name for the letter's method.
import { JetStreamApiCodes, JetStreamApiError, jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import type { MsgHdrs, NatsConnection } from "@nats-io/nats-core";
import { createFinals, type Finals } from "../answers/finals.ts";
import type { MethodContract, ServiceContract } from "../contract.ts";
import { covers } from "../subjects.ts";
import { lastingHeaders } from "../delivery/dead-letter.ts";
import { insist } from "../delivery/insist.ts";
import { HandlerError } from "../error.ts";
import { headers, names, requestKey, type Installation } from "../names.ts";
import { createPublisher, type Publisher } from "../publisher.ts";

export interface DeadLetter {
  readonly handler: string;
  readonly stream: string;
  readonly seq: number;
  readonly subject: string;
  readonly time: Date;
  /** The method that it was for; undefined where no contract has it any more. */
  readonly method: MethodContract | undefined;
  readonly cause: string;
  readonly message: string;
  readonly originalSubject: string;
  readonly requestId: string;
  readonly deliveries: number;
  readonly data: Uint8Array;
  readonly headers: MsgHdrs;
}

export interface LetterFilter {
  readonly cause?: string | undefined;
  /** Full name of the method, or its end: `ChatService.Chat`. */
  readonly method?: string | undefined;
  /** Only letters written at this time or later, Unix ms. */
  readonly since?: number | undefined;
  /** Only these sequences. */
  readonly sequences?: readonly number[] | undefined;
}

export interface DeadLetters {
  /** Letters in the order in which they were written. Letters that come while this runs are not among them. */
  list(filter: LetterFilter, signal: AbortSignal): AsyncGenerator<DeadLetter, void, undefined>;
  /** Publishes the message again and removes the letter. Throws `failed_precondition` where that cannot be right, `unavailable` where it was not confirmed. */
  replay(letter: DeadLetter, signal: AbortSignal): Promise<{ readonly purgedError: boolean }>;
  drop(letter: DeadLetter): Promise<void>;
  close(): void;
}

const requestTimeoutMs = 10_000;

/** Opens the dead letters of these services. A service that was never provisioned has none. */
export async function openDeadLetters(
  nc: NatsConnection,
  contracts: readonly ServiceContract[],
  installation: Installation,
): Promise<DeadLetters> {
  const jsm = await jetstreamManager(nc, { checkAPI: false, timeout: requestTimeoutMs });
  const publisher = createPublisher(nc);
  const own = names(installation);
  const finals = createFinals({ nc, jsm, publisher, installation, claimCheck: undefined });
  const all = contracts.flatMap((contract) => contract.methods);
  const handlers = [...Map.groupBy(contracts, ({ handler }) => handler)].map(([handler, served]) => ({
    handler,
    stream: own.stream.deadLetters(handler),
    methods: served.flatMap(({ methods }) => methods),
  }));
  return {
    async *list(filter, signal) {
      for (const one of handlers) yield* lettersOf(jsm, one, filter, signal);
    },
    async replay(letter, signal) {
      const method = replayable(letter, own.durable);
      const purgedError = await purgeError(finals, all, method, letter.requestId);
      await publishAgain(publisher, letter, signal);
      await jsm.streams.deleteMessage(letter.stream, letter.seq, false);
      return { purgedError };
    },
    async drop({ stream, seq }) {
      await jsm.streams.deleteMessage(stream, seq, false);
    },
    close: () => publisher.close(),
  };
}

interface HandlerLetters {
  readonly handler: string;
  readonly stream: string;
  readonly methods: readonly MethodContract[];
}

async function* lettersOf(
  jsm: JetStreamManager,
  { handler, stream, methods }: HandlerLetters,
  filter: LetterFilter,
  signal: AbortSignal,
): AsyncGenerator<DeadLetter, void, undefined> {
  const last = await lastSequence(jsm, stream);
  const wanted = filter.sequences?.toSorted((a, b) => a - b);
  for (let seq = wanted?.shift() ?? 1; seq <= last;) {
    signal.throwIfAborted();
    const stored = await jsm.direct.getMessage(stream, { seq, next_by_subj: ">" });
    if (stored === null || stored.seq > last) return;
    const exact = filter.sequences === undefined || stored.seq === seq;
    const [token = "", cause = ""] = stored.subject.split(".").slice(-2);
    const letter: DeadLetter = {
      handler,
      stream,
      seq: stored.seq,
      subject: stored.subject,
      time: stored.time,
      method: methods.find((method) => method.token === token),
      cause,
      message: stored.header.get(headers.causeMessage),
      originalSubject: stored.header.get(headers.originalSubject),
      requestId: stored.header.get(headers.requestId),
      deliveries: Number(stored.header.get(headers.deliveries)) || 0,
      data: stored.data,
      headers: stored.header,
    };
    if (exact && matches(letter, filter)) yield letter;
    if (wanted === undefined) seq = stored.seq + 1;
    else seq = wanted.shift() ?? Number.POSITIVE_INFINITY;
  }
}

async function lastSequence(jsm: JetStreamManager, stream: string): Promise<number> {
  try {
    return (await jsm.streams.info(stream)).state.last_seq;
  } catch (cause) {
    if (cause instanceof JetStreamApiError && cause.code === JetStreamApiCodes.StreamNotFound) return 0;
    throw new HandlerError(`stream ${stream} cannot be read`, "unavailable", { cause });
  }
}

function matches(letter: DeadLetter, { cause, method, since }: LetterFilter): boolean {
  if (cause !== undefined && letter.cause !== cause) return false;
  if (since !== undefined && letter.time.getTime() < since) return false;
  const name = letter.method?.name ?? "";
  return method === undefined || name === method || name.endsWith(`.${method}`);
}

/** The letter's method, if its message may be published where it was first published (I3). */
function replayable(letter: DeadLetter, durable: (method: string) => string): MethodContract {
  const { method, originalSubject, seq, handler } = letter;
  const refuse = (why: string) => new HandlerError(`letter ${seq} of ${handler}: ${why}`, "failed_precondition");
  if (method === undefined) throw refuse("the contract has its method no more");
  const known =
    method.events.some(({ pattern }) => covers(pattern.filter, originalSubject)) ||
    (method.requestSubjects.length > 0 && originalSubject === durable(method.name));
  if (!known) throw refuse(`its subject ${originalSubject} is none of ${method.name}`);
  return method;
}

/** Key and answer of a fold are those of the stream that it folds. */
async function purgeError(
  finals: Finals,
  methods: readonly MethodContract[],
  method: MethodContract,
  requestId: string,
): Promise<boolean> {
  const { parent } = method.desc;
  const source = methods.find(({ desc }) => desc.parent === parent && desc.name === method.folds) ?? method;
  if (!method.storedAnswer || requestId === "" || source.reply === undefined) return false;
  return finals.purgeError(requestKey(source.name, requestId), source.reply.subject.text);
}

async function publishAgain(publisher: Publisher, letter: DeadLetter, signal: AbortSignal): Promise<void> {
  const options = { headers: lastingHeaders(letter.headers), signal };
  await insist(publisher, letter.originalSubject, letter.data, options);
}
