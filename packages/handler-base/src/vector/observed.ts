// Work of a store inside the process, told to an observer as a request to a server is: traces and metrics show a search either way.
import { HandlerError } from "../error.ts";
import type { CallOptions } from "../inference/options.ts";
import type { OnRequest, RequestEnd } from "../inference/report.ts";

/** What `work` gives or throws; the observer is told when it ends. */
export async function observed<T>(
  onRequest: OnRequest | undefined,
  operation: string,
  { traceHeaders = {} }: CallOptions,
  work: () => Promise<T>,
): Promise<T> {
  const span = onRequest?.({ role: "vector", operation, model: undefined, traceHeaders });
  if (span === undefined) return work();
  const started = performance.now();
  let outcome: RequestEnd["outcome"] = "ok";
  try {
    return await work();
  } catch (reason) {
    outcome = HandlerError.from(reason).code;
    throw reason;
  } finally {
    span.end({
      outcome,
      durationMs: performance.now() - started,
      endpoint: undefined,
      attempts: 0,
      status: undefined,
      ttfbMs: undefined,
      firstTokenMs: undefined,
      responseModel: undefined,
      engine: undefined,
      usage: undefined,
    });
  }
}
