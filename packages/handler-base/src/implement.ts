// From a service descriptor to a typed implementation: a missing method, a wrong field, a promise where a stream is due and an unknown
// method are compile errors.
import type {
  DescMessage,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  Message,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { CallContext } from "./context.ts";

/** Answers with one message. A plain object with the fields of the answer will do. */
export type UnaryHandler<I extends DescMessage, O extends DescMessage> = (
  request: MessageShape<I>,
  context: CallContext,
) => Promise<MessageInitShape<O>> | MessageInitShape<O>;

/** Answers with a stream. Whoever reads it stops pulling when the reader is slow and calls `return()` when the call ends early. */
export type StreamHandler<I extends DescMessage, O extends DescMessage> = (
  request: MessageShape<I>,
  context: CallContext,
) => AsyncIterable<MessageInitShape<O>>;

/** Makes one answer of a streaming rpc's frames, and the other way round: the one place that knows how they correspond. */
export interface Fold<I extends DescMessage, C extends DescMessage, F extends DescMessage> {
  /** A new accumulator for one attempt. */
  readonly start: (request: MessageShape<I>) => Accumulator<C, F>;
  /** Frames that say what a stored answer says, for a late reader of the stream. The last one is the typed end of the stream. */
  readonly replay: (answer: MessageShape<F>) => readonly MessageInitShape<C>[];
}

export interface Accumulator<C extends DescMessage, F extends DescMessage> {
  readonly add: (frame: MessageShape<C>) => void;
  /** The answer after the last frame. */
  readonly finish: () => MessageInitShape<F>;
}

/** A unary rpc that folds a streaming one (option `folds`): give it `fold(…)` in place of a function. */
export interface FoldHandler<I extends DescMessage, F extends DescMessage> {
  readonly kind: "fold";
  readonly fold: Fold<I, DescMessage, F>;
}

export function fold<I extends DescMessage, C extends DescMessage, F extends DescMessage>(
  _source: DescMethodServerStreaming<I, C>,
  _target: DescMethodUnary<I, F>,
  functions: Fold<I, C, F>,
): FoldHandler<I, F> {
  // The frames that reach it are those of the source rpc: the dispatcher pairs them by the contract's option.
  return { kind: "fold", fold: functions };
}

/** Functions for all methods of a service, typed by its descriptor. */
export type Methods<S extends DescService> = {
  readonly [K in keyof S["method"]]: S["method"][K] extends DescMethodUnary<infer I, infer O>
    ? UnaryHandler<I, O> | FoldHandler<I, O>
    : S["method"][K] extends DescMethodServerStreaming<infer I, infer O>
      ? StreamHandler<I, O>
      : never;
};

/** A method's function after its types have been checked, by kind. */
export type MethodHandler =
  | {
      readonly kind: "unary";
      readonly handle: (request: Message, context: CallContext) => Promise<object> | object;
    }
  | {
      readonly kind: "server_streaming";
      readonly handle: (request: Message, context: CallContext) => AsyncIterable<object>;
    }
  | { readonly kind: "fold"; readonly fold: Fold<DescMessage, DescMessage, DescMessage> };

/** A service with functions for all its methods; what `serve` takes. */
export interface Implementation {
  readonly service: DescService;
  /** By the method's local name. */
  readonly methods: ReadonlyMap<string, MethodHandler>;
}

/** Binds functions to a service. Throws an Error on a method kind that has no binding (client streaming). */
export function implement<S extends DescService>(service: S, methods: Methods<S>): Implementation {
  const bound = new Map<string, MethodHandler>();
  const given: Readonly<Record<string, unknown>> = methods;
  for (const method of service.methods) {
    const value = given[method.localName];
    if (value === undefined) throw new Error(`${service.typeName}.${method.name} has no function`);
    bound.set(method.localName, bind(method.methodKind, value, `${service.typeName}.${method.name}`));
  }
  return { service, methods: bound };
}

function bind(kind: string, value: unknown, name: string): MethodHandler {
  if (kind === "unary" && typeof value === "object" && value !== null && "fold" in value) {
    return value as MethodHandler;
  }
  if (typeof value !== "function") throw new Error(`${name} needs a function`);
  switch (kind) {
    case "unary":
    case "server_streaming":
      return { kind, handle: value } as MethodHandler;
    default:
      throw new Error(`${name}: ${kind} methods have no NATS binding; take live input from an event subject`);
  }
}
