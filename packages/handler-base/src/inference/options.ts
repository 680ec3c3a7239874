// What every client and every call of this folder takes.
import type { OnRequest } from "./report.ts";

export interface CallOptions {
  /** Ends the call and its HTTP request at once. */
  readonly signal: AbortSignal;
  /** Unix ms at which the call ends with `deadline_exceeded`. */
  readonly deadline?: number;
  /** Calls of one session go to the replica that has their prefix cached (header `x-session-id`). */
  readonly sessionId?: string;
  /** Header `x-request-id`. */
  readonly requestId?: string;
  /** `traceparent`, `tracestate`, `baggage` for the server. */
  readonly traceHeaders?: Readonly<Record<string, string>>;
}

export interface ClientOptions {
  /** Servers in order of preference. A base URL with or without "/v1"; credentials in it become a header. */
  readonly urls: readonly string[];
  /** Model name sent to the server. */
  readonly model?: string;
  /** Sent as `Authorization: Bearer`. */
  readonly apiKey?: string;
  /** Headers for every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Calls in flight per server. Default 32. */
  readonly concurrency?: number;
  /** Calls that may wait per server for a free slot; more are refused with `resource_exhausted`. Default 4 × concurrency. */
  readonly queue?: number;
  /** Default 3000. */
  readonly connectTimeoutMs?: number;
  /** From the request to the head of the answer; a Ray Serve proxy without replicas sends nothing at all. Default 30000. */
  readonly headerTimeoutMs?: number;
  /** Between two chunks of an answer. Default 30000. */
  readonly idleTimeoutMs?: number;
  /** Failures in a row after which a server is left alone for a while. Default 5. */
  readonly failuresToOpen?: number;
  /** How long it is left alone the first time; doubles up to 30 s. Default 1000. */
  readonly recoveryMs?: number;
  readonly onRequest?: OnRequest;
}
