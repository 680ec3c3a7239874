// What a load can be and what it saw.

interface Body {
  /** Bytes of the text or the data. */
  readonly size: number;
  /** Whether they are in the bytes field. */
  readonly bytes: boolean;
}

export type Load =
  | (Body & { readonly kind: "closed"; readonly subject: string; readonly inFlight: number; readonly seconds: number })
  | (Body & { readonly kind: "open"; readonly subject: string; readonly rate: number; readonly seconds: number })
  | (Body & { readonly kind: "fill"; readonly subject: string; readonly count: number })
  | { readonly kind: "drain"; readonly subject: string; readonly count: number }
  | { readonly kind: "streams"; readonly subject: string; readonly streams: number; readonly tokens: number }
  | { readonly kind: "direct"; readonly url: string; readonly streams: number; readonly tokens: number };

export interface Seen {
  readonly count: number;
  readonly seconds: number;
  /** Latencies, ms; 0 where none are taken. */
  readonly p50: number;
  readonly p99: number;
}
