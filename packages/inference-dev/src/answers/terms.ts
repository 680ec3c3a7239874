// Words of questions and sources, and when two of them mean the same.

/** Words that say how something is asked, not what about. */
const common = new Set(
  (
    "a about again all already also am among an and any anyone anything are as at be been before being both but by can cannot choose could did do does doing done each " +
    "either else ever every everything exactly find for from get gets getting give given gives go goes going had happen happened happens has have having " +
    "he her here him his how i if in into is it its itself just know let like long make makes many may me mean means might mine more most much must my need needs no " +
    "not now number often of off on one once only or other our ours out over own please possible put rather really s same say says see set shall she should so some someone " +
    "something such t take takes tell than still that the their them then there these they thing things this those through to too under unless until up us use used uses using " +
    "very want wants was way we were what whatever when where whether which while who whom whose why will with within without work works would yet you your yours"
  ).split(" "),
);

/** Groups of words that technical English uses for one another. Each is a stem. */
const synonyms: readonly (readonly string[])[] = [
  ["stop", "shutdown", "terminat", "quit", "exit", "sigterm"],
  ["delet", "remov", "drop", "discard", "eras"],
  ["fail", "failur", "error", "crash"],
  ["limit", "maximum", "max", "bound", "most", "cap"],
  ["start", "begin", "launch"],
  ["replica", "instanc", "copy", "pod"],
  ["deadlin", "timeout", "expir"],
  ["answer", "reply", "respons", "respond"],
  ["resend", "resent", "retry", "redeliver"],
  ["duplicat", "twice", "same"],
  ["big", "larg", "huge"],
  ["keep", "kept", "store", "retain", "remember"],
  ["wait", "delay", "pause"],
  ["idle", "free"],
  ["order", "sequence", "sequenc"],
  ["send", "sent", "publish"],
  ["caller", "client"],
  ["cancel", "abort"],
  ["config", "configur", "setting"],
  ["secret", "password", "credential"],
  ["doc", "documentation", "document"],
  ["metric", "prometheus"],
  ["reject", "refus", "deny", "denied"],
  ["endpoint", "path", "url", "route"],
  ["command", "script"],
];

const groupOf = new Map(synonyms.flatMap((group, at) => group.map((each) => [each, at] as const)));

export interface Term {
  /** As it stood, in lower case. */
  readonly word: string;
  readonly stem: string;
}

/** The words of a text that carry meaning, identifiers in their parts. */
export function termsOf(text: string): Term[] {
  const terms: Term[] = [];
  for (const [raw] of text.normalize("NFKC").matchAll(/[\p{L}\p{N}]+/gu)) {
    for (const part of raw.split(/(?<=\p{Ll})(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/u)) {
      const word = part.toLowerCase();
      if (!common.has(word) && !common.has(stem(word)) && (word.length > 1 || /\p{N}/u.test(word)))
        terms.push({ word, stem: stem(word) });
    }
  }
  return terms;
}

/** Takes English endings off, never below three letters. */
export function stem(word: string): string {
  let rest = word;
  if (rest.length > 4 && rest.endsWith("ies")) rest = `${rest.slice(0, -3)}y`;
  else if (rest.length > 4 && /(?:ss|x|ch|sh)es$/.test(rest)) rest = rest.slice(0, -2);
  else if (rest.length > 3 && /[^su]s$/.test(rest)) rest = rest.slice(0, -1);
  if (rest.length > 4 && rest.endsWith("ied")) rest = `${rest.slice(0, -3)}y`;
  else if (rest.length > 5 && /[aeiouy].*ing$/.test(rest)) rest = single(rest.slice(0, -3));
  else if (rest.length > 4 && /[aeiouy].*[^e]ed$/.test(rest)) rest = single(rest.slice(0, -2));
  else if (rest.length > 5 && rest.endsWith("ly")) rest = rest.slice(0, -2);
  return rest.length > 4 && rest.endsWith("e") ? rest.slice(0, -1) : rest;
}

function single(text: string): string {
  return /([bdgmnprt])\1$/.test(text) ? text.slice(0, -1) : text;
}

/** How far two stems mean the same, from 0 to 1. */
export function likeness(a: string, b: string): number {
  if (a === b) return 1;
  const [short, long] = a.length <= b.length ? [a, b] : [b, a];
  // "acknowledg" and "acknowledgement", "deliver" and "delivery", but not "port" and "portal"
  if (short.length >= 5 && long.startsWith(short) && short.length >= long.length * 0.55) return 0.9;
  if (short.length >= 7 && long.startsWith(short.slice(0, -1)) && short.length >= long.length * 0.6) return 0.85;
  const group = groupOf.get(a);
  return group !== undefined && group === groupOf.get(b) ? 0.7 : 0;
}

/** The best likeness of a stem with any of these. */
export function support(stemmed: string, stems: ReadonlySet<string>): number {
  if (stems.has(stemmed)) return 1;
  let best = 0;
  for (const other of stems) best = Math.max(best, likeness(stemmed, other));
  return best;
}

export function stemsOf(text: string): ReadonlySet<string> {
  return new Set(termsOf(text).map((term) => term.stem));
}
