// The one error class of the library and its codes: the sixteen canonical ones of gRPC and Connect, spelled as Connect does.
// `HandlerError.from` is the only funnel from `catch`; `cause` is for logs and never leaves the process.

/** Code of an error, with its number (ADR-32 header `Nats-Service-Error-Code`) and whether another attempt can succeed. */
const codes = {
  canceled: { number: 1, retryable: false },
  unknown: { number: 2, retryable: true },
  invalid_argument: { number: 3, retryable: false },
  deadline_exceeded: { number: 4, retryable: false },
  not_found: { number: 5, retryable: false },
  already_exists: { number: 6, retryable: false },
  permission_denied: { number: 7, retryable: false },
  resource_exhausted: { number: 8, retryable: true },
  failed_precondition: { number: 9, retryable: false },
  aborted: { number: 10, retryable: true },
  out_of_range: { number: 11, retryable: false },
  unimplemented: { number: 12, retryable: false },
  internal: { number: 13, retryable: true },
  unavailable: { number: 14, retryable: true },
  data_loss: { number: 15, retryable: false },
  unauthenticated: { number: 16, retryable: false },
} as const;

export type Code = keyof typeof codes;

const byNumber = new Map<number, Code>((Object.keys(codes) as Code[]).map((code) => [codes[code].number, code]));

export interface HandlerErrorOptions {
  /** What went wrong underneath. Logged, never sent. */
  cause?: unknown;
  /** When to try again, in ms from now; sent to the caller. */
  retryAfterMs?: number;
  /** Whether another attempt can succeed, where that differs from what the code says. */
  retryable?: boolean;
  /** Bad fields of the request, one sentence each; sent to the caller. Never holds what the user wrote. */
  violations?: readonly string[];
}

/** What a handler throws to end a call with a code, and what a caller gets. The message is sent: no user content in it. */
export class HandlerError extends Error {
  readonly code: Code;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly violations: readonly string[];

  constructor(message: string, code: Code, options: HandlerErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "HandlerError";
    this.code = code;
    this.retryable = options.retryable ?? codes[code].retryable;
    this.retryAfterMs = options.retryAfterMs;
    this.violations = options.violations ?? [];
  }

  /** Number of the code, as in the header `Nats-Service-Error-Code`. */
  get number(): number {
    return codes[this.code].number;
  }

  /**
   * Any thrown value as a HandlerError. An abort becomes `canceled` (or the abort's own reason when that is a HandlerError);
   * everything unknown becomes `internal` with a neutral message, because its text may hold what must not leave the process.
   */
  static from(reason: unknown): HandlerError {
    if (reason instanceof HandlerError) return reason;
    if (reason instanceof Error) {
      if (reason.name === "AbortError") {
        return reason.cause instanceof HandlerError
          ? reason.cause
          : new HandlerError("the call was canceled", "canceled", { cause: reason });
      }
      if (reason.name === "TimeoutError") {
        return new HandlerError("the deadline has passed", "deadline_exceeded", { cause: reason });
      }
    }
    return new HandlerError("the handler failed", "internal", { cause: reason });
  }
}

/** Code of a number on the wire; an unknown number is `unknown`. */
export function codeOf(number: number): Code {
  return byNumber.get(number) ?? "unknown";
}

/** True for a string that names a code. */
export function isCode(text: string): text is Code {
  return Object.hasOwn(codes, text);
}
