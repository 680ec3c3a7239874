// One message through the library: read, identify, validate, run, answer. The same path for request subjects and events; the way gives
// the sink and settles afterwards.
//
// I1  Every message ends in exactly one of `sink.finish`, `sink.fail` and `way.reject`.
// I2  Nothing is thrown: whatever goes wrong is in the outcome.
import type { Message } from "@bufbuild/protobuf";
import { Bag } from "./bag.ts";
import type { Call, Ended, Incoming, Outcome, ReplySink } from "./call.ts";
import type { ClaimCheck } from "./claim-check.ts";
import { contentTypeOf, decode, loadMessagePack, type ContentType } from "./codec.ts";
import { deadlineOf } from "./deadline.ts";
import { HandlerError } from "./error.ts";
import { logFailure } from "./failure-log.ts";
import { readText } from "./fields.ts";
import { andThen, guarded, type Maybe } from "./maybe.ts";
import { identify, type Identity } from "./identity.ts";
import { LiveCall, type Clock, type Ticking } from "./live-call.ts";
import type { Logger } from "./log.ts";
import type { Middleware } from "./middleware.ts";
import { headers } from "./names.ts";
import { runHandler } from "./run-handler.ts";
import { hasRules, validate } from "./validation.ts";

/** What is known of a message that never became a call. */
export type Known = Partial<Identity> & { contentType?: ContentType };

/** How answers leave; one for each path. */
export interface Way {
  /** Sink of a call. Called before the handler runs. */
  open(call: Call): ReplySink;
  /** Answers a message that could not be read, identified or validated. */
  reject(incoming: Incoming, error: HandlerError, known: Known): Promise<void> | void;
}

/** Runs a request at most once at a time and gives its stored answer to whoever asks again. */
export interface Once {
  run(call: Call, sink: ReplySink, execute: (sink: ReplySink) => Maybe<Outcome>): Promise<Outcome>;
}

/** Runs calls of one ordering key one at a time. */
export interface Ordering {
  run(call: Call, key: string, execute: () => Maybe<Outcome>): Promise<Outcome>;
}

/** Watches calls for metrics, traces and discovery. */
export interface Observer {
  /** Around all work on one call, from the moment it is one until its last reply is out. Must give what `work` gives. */
  readonly around: (call: Call, work: () => Maybe<Outcome>) => Maybe<Outcome>;
  /** A message ended. `call` is undefined where it never became one. */
  ended(incoming: Incoming, call: Call | undefined, outcome: Outcome, durationMs: number): void;
}

export interface DispatcherOptions {
  /** Where payloads too large for a message are; undefined = none are taken. */
  readonly claimCheck: ClaimCheck | undefined;
  readonly middleware: Middleware | undefined;
  readonly once: Once | undefined;
  readonly ordering: Ordering | undefined;
  readonly observer: Observer | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Dispatcher {
  /** Gives the outcome when the last reply is out, at once for a call that never waits. Never throws or rejects. */
  dispatch(incoming: Incoming, way: Way): Maybe<Ended>;
  /** Answers a message with this error without running it; a stored answer to the same request goes before. Never rejects. */
  refuse(incoming: Incoming, way: Way, error: HandlerError): Maybe<Ended>;
  /** Ends every call in flight, and every later one at once, with this reason. */
  abortAll(reason: HandlerError): void;
  readonly inFlight: number;
}

interface Admitted {
  readonly call: Call;
  readonly context: LiveCall;
}

/** True for a call whose answer is stored and given again. */
export function isAnsweredOnce(call: Call): boolean {
  return call.method.contract.storedAnswer && call.ownId && call.responseSubject !== undefined;
}

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const live = new Bag<LiveCall>();
  const { claimCheck, middleware, once, ordering, observer, clock, log } = options;
  let ended: HandlerError | undefined;
  /** Lets the live calls tick; leaves the clock when there have been none for a tick. */
  const ticking: Ticking = {
    place: -1,
    tick(now, wallClock) {
      if (live.size === 0) clock.delete(ticking);
      live.each((context) => context.tick(now, wallClock));
    },
  };

  function admit(incoming: Incoming, known: Known): Maybe<Admitted> {
    const { headers: given } = incoming;
    if (given?.has(headers.claimCheck)) return loadClaimed(incoming).then((data) => read(incoming, data, known));
    return read(incoming, incoming.data, known);
  }

  function read(incoming: Incoming, data: Uint8Array, known: Known): Maybe<Admitted> {
    const contentType = contentTypeOf(incoming.headers?.get(headers.contentType), data);
    known.contentType = contentType;
    return andThen(contentType === "application/msgpack" ? loadMessagePack() : undefined, () => {
      const { input } = incoming.method;
      const request = decode(input, data, contentType);
      const identity = identify(incoming, request, known);
      return andThen(hasRules(input) ? validate(input, request) : undefined, () =>
        enter(incoming, request, identity, contentType),
      );
    });
  }

  function enter(incoming: Incoming, request: Message, identity: Identity, contentType: ContentType): Admitted {
    const { method } = incoming;
    const deadline = deadlineOf(incoming);
    if (deadline <= Date.now())
      throw new HandlerError("the deadline had passed before the call began", "deadline_exceeded");
    const context = new LiveCall({
      method: method.contract,
      requestId: identity.requestId,
      attempt: incoming.attempt,
      deadline,
      caller: identity.caller,
      way: incoming.way,
      log,
    });
    const { ownId, responseSubject, framesSubject } = identity;
    const { abort } = context;
    return {
      call: { incoming, method, request, context, contentType, ownId, responseSubject, framesSubject, abort },
      context,
    };
  }

  async function loadClaimed({ data, headers: given }: Incoming): Promise<Uint8Array> {
    if (claimCheck === undefined) throw new HandlerError("this service takes no claim checks", "unimplemented");
    return await claimCheck.load(data, given);
  }

  const ok: Outcome = { ok: true };

  function execute(call: Call, context: LiveCall, sink: ReplySink): Maybe<Outcome> {
    return guarded(
      () => {
        const run = () => context.race(runHandler(call, context, sink));
        return andThen(middleware ? middleware(context, async () => run()) : run(), () => ok);
      },
      (reason) => {
        const error = HandlerError.from(reason);
        logFailure(context.log, error);
        context.abort(error); // the handler may still be running: its signal must tell it that nobody waits
        return andThen(sink.fail(error), () => ({ ok: false, error }));
      },
    );
  }

  /** The work of one call after its claim is taken. */
  type Work = (call: Call, context: LiveCall, sink: ReplySink) => Maybe<Outcome>;

  const inOrder: Work = (call, context, sink) => {
    const key = orderingKey(call);
    return ordering && key !== undefined
      ? ordering.run(call, key, () => execute(call, context, sink))
      : execute(call, context, sink);
  };

  function runCall(call: Call, context: LiveCall, way: Way, work: Work): Maybe<Outcome> {
    const sink = way.open(call);
    return guarded(
      () =>
        once && isAnsweredOnce(call)
          ? once.run(call, sink, (out) => work(call, context, out))
          : work(call, context, sink),
      (reason) => {
        const error = HandlerError.from(reason);
        logFailure(context.log, error);
        return andThen(sink.fail(error), () => ({ ok: false, error }));
      },
    );
  }

  async function rejected(incoming: Incoming, way: Way, error: HandlerError, known: Known): Promise<Outcome> {
    try {
      await way.reject(incoming, error, known); // a sink that could not be opened cannot tell either
    } catch (failure) {
      log.error({ error: failure }, "an error could not be answered");
    }
    return { ok: false, error };
  }

  function pass(incoming: Incoming, way: Way, work: Work): Maybe<Ended> {
    const start = performance.now();
    const known: Known = {};
    let admitted: Admitted | undefined;
    const outcome = guarded(
      () =>
        andThen(admit(incoming, known), (one) => {
          admitted = one;
          const { call, context } = one;
          live.add(context);
          clock.add(ticking);
          if (ended) context.abort(ended);
          const run = () => runCall(call, context, way, work);
          return observer ? observer.around(call, run) : run();
        }),
      (reason) => rejected(incoming, way, HandlerError.from(reason), known),
    );
    return andThen(outcome, (one) => {
      if (admitted) live.delete(admitted.context);
      observer?.ended(incoming, admitted?.call, one, performance.now() - start);
      return { outcome: one, requestId: known.requestId };
    });
  }

  return {
    dispatch: (incoming, way) => pass(incoming, way, inOrder),
    refuse: (incoming, way, error) =>
      pass(incoming, way, (_call, _context, sink) => andThen(sink.fail(error), () => ({ ok: false, error }))),
    abortAll(reason) {
      ended = reason;
      live.each((context) => context.abort(reason));
    },
    get inFlight() {
      return live.size;
    },
  };
}

function orderingKey({ method, request }: Call): string | undefined {
  const { orderingField } = method.contract;
  return orderingField === undefined ? undefined : readText(method.input, request, orderingField) || undefined;
}
