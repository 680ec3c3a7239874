// What goes around every call, unary or streaming, on either way. It may observe, bound, refuse or translate errors, not rewrite messages.
import type { CallContext } from "./context.ts";

/** `next()` settles when the last reply is out; it rejects with what the handler threw. Call it at most once. */
export type Middleware = (call: CallContext, next: () => Promise<void>) => Promise<void>;

/** One middleware from several; the first is the outermost. */
export function compose(middleware: readonly Middleware[]): Middleware {
  return middleware.reduceRight<Middleware>(
    (inner, outer) => (call, next) => outer(call, () => inner(call, next)),
    (_call, next) => next(),
  );
}
