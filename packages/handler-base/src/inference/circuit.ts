// Circuit breaker of one endpoint: closed (calls go) → open (calls go elsewhere) → trial (one call or probe shows whether it is back).
// I1: `threshold` failures in a row open it; I2: each failed trial doubles the pause, up to the maximum, and nothing else does: the calls that
// were under way when it opened say nothing new when they fail, too; I3: one trial at a time, and only its holder ends it.

export interface CircuitOptions {
  /** Failures in a row that open it. */
  threshold: number;
  /** First pause, ms. */
  pauseMs: number;
  /** Longest pause, ms. */
  maxPauseMs: number;
}

export interface Circuit {
  /** "open" until the pause is over, then "due" for a trial. */
  readonly state: () => "closed" | "open" | "due";
  /** Takes the one trial of a due circuit; false if somebody else has it. */
  readonly tryTrial: () => boolean;
  /** Gives an unfinished trial back (the call was canceled: it shows nothing); nothing happens when `trial` is false. */
  readonly abandon: (trial: boolean) => void;
  readonly succeeded: () => void;
  /** `trial`: whether the call that failed holds the trial. */
  readonly failed: (trial: boolean) => void;
  /** A probe was answered: the next call goes, and its first failure opens the circuit again. */
  readonly probed: () => void;
  /** ms until the next trial; 0 when calls may go. */
  readonly waitMs: () => number;
}

export function createCircuit(options: CircuitOptions): Circuit {
  let failures = 0;
  let pauseMs = options.pauseMs;
  let openUntil: number | undefined;
  let trial = false;

  const waitMs = (): number => (openUntil === undefined ? 0 : Math.max(0, openUntil - performance.now()));

  return {
    state: () => (openUntil === undefined ? "closed" : waitMs() > 0 ? "open" : "due"),
    waitMs,
    tryTrial() {
      if (trial || openUntil === undefined || waitMs() > 0) return false;
      trial = true;
      return true;
    },
    abandon(mine) {
      if (mine) trial = false;
    },
    succeeded() {
      failures = 0;
      pauseMs = options.pauseMs;
      openUntil = undefined;
      trial = false;
    },
    probed() {
      failures = options.threshold - 1;
      openUntil = undefined;
      trial = false;
    },
    failed(mine) {
      if (openUntil !== undefined && !mine) return; // I2
      failures++;
      if (mine) trial = false;
      if (failures < options.threshold) return;
      openUntil = performance.now() + pauseMs;
      pauseMs = Math.min(pauseMs * 2, options.maxPauseMs);
    },
  };
}
