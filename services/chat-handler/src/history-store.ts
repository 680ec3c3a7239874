// Keeps conversations in a key-value bucket. It is never in the way of an answer: what fails is told, and the answer goes on without it.
//
// I1  A turn is added by compare-and-set: two replicas that write the same conversation lose none of each other's turns.
// I2  No call takes longer than two seconds, however the store is.
import { HandlerError, type Logger } from "@pipeline/handler-base";
import { decodeTurns, encodeTurns, turnsBefore, withTurn, type HistoryLimits, type Turn } from "./history.ts";

/** What is needed of a key-value bucket. */
export interface Bucket {
  get(key: string): Promise<{ readonly value: Uint8Array; readonly revision: number } | null>;
  create(key: string, value: Uint8Array): Promise<number>;
  update(key: string, value: Uint8Array, revision: number): Promise<number>;
}

export interface History {
  /** Turns before this request, the oldest first. Throws `unavailable`, or the signal's reason. */
  readonly read: (key: string, requestId: string, signal: AbortSignal) => Promise<Turn[]>;
  /** Adds a turn; the same request again replaces its turn. Throws `unavailable`, or the signal's reason. */
  readonly add: (key: string, turn: Turn, signal: AbortSignal) => Promise<void>;
}

const patienceMs = 2000;
const mostTries = 8;
/** The server's code for a revision that is not the last one any more. */
const wrongRevision = 10_071;

/** `open` is asked once, and again after it has failed. */
export function createHistory(open: () => Promise<Bucket>, limits: HistoryLimits, log: Logger): History {
  let opened: Promise<Bucket> | undefined;
  const bucket = async (): Promise<Bucket> => {
    opened ??= open();
    try {
      return await opened;
    } catch (reason) {
      opened = undefined;
      throw reason;
    }
  };

  const read = async (key: string): Promise<{ turns: Turn[]; revision: number | undefined }> => {
    const entry = await (await bucket()).get(key);
    if (entry === null) return { turns: [], revision: undefined };
    const turns = decodeTurns(entry.value);
    if (turns === undefined) log.warn({ bytes: entry.value.byteLength }, "a conversation is damaged and begins anew");
    return { turns: turns ?? [], revision: entry.revision };
  };

  const add = async (key: string, turn: Turn, signal: AbortSignal): Promise<void> => {
    for (let tries = 1; ; tries += 1) {
      signal.throwIfAborted();
      const { turns, revision } = await read(key);
      const value = encodeTurns(withTurn(turns, turn, limits));
      try {
        const store = await bucket();
        await (revision === undefined ? store.create(key, value) : store.update(key, value, revision)); // I1
        return;
      } catch (reason) {
        if (tries === mostTries || !isConflict(reason)) throw reason;
      }
    }
  };

  return {
    read: (key, requestId, signal) =>
      inTime(signal, async () => turnsBefore((await read(key)).turns, requestId, limits, Date.now())),
    add: (key, turn, signal) => inTime(signal, (own) => add(key, turn, own)),
  };
}

/** I2. The store's client takes no signal: what it still does after this has ended reaches nobody. */
async function inTime<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const own = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const stop = (): void => reject(HandlerError.from(own.reason));
  own.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([work(own), ended]);
  } catch (reason) {
    if (signal.aborted) throw HandlerError.from(signal.reason);
    throw new HandlerError("the conversation store is not available", "unavailable", { cause: reason });
  } finally {
    own.removeEventListener("abort", stop);
  }
}

function isConflict(reason: unknown): boolean {
  return reason instanceof Error && "code" in reason && reason.code === wrongRevision;
}
