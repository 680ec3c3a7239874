// What the OpenTelemetry part (sdk.ts) gives to the rest. It is loaded only where a collector is configured; nothing else of the handler's
// path knows OpenTelemetry.
import type { Maybe } from "../maybe.ts";
import type { Call, Incoming, Outcome } from "../call.ts";
import type { RequestSpan, RequestStart } from "../inference/report.ts";
import type { LogRecord } from "../log.ts";

export interface Tracing {
  /** Runs the work on a call within its span, so that whatever it asks and logs belongs to the call's trace. */
  readonly around: (call: Call, work: () => Maybe<Outcome>) => Maybe<Outcome>;
  /** A message ended that never became a call. */
  readonly rejected: (incoming: Incoming, outcome: Outcome, durationMs: number) => void;
  readonly onRequest: (start: RequestStart) => RequestSpan | undefined;
  /** Sends a line to the collector; gives it with the ids of the trace that it was written in. */
  readonly log: (record: LogRecord) => LogRecord;
  /** Sends what is left; resolves at the latest when the signal aborts. Never rejects. */
  readonly close: (signal: AbortSignal) => Promise<void>;
}
