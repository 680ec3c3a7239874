// Checks the citations of an answer while it is written: `[2]`, `[1, 3]`.
//
// I1  A number that names no passage never leaves, however the answer is cut into pieces.
// I2  Text in code, between backticks, is not touched: `items[7]` is no citation.
// I3  What is held back is at most one unfinished marker, or white space and backticks at the end of what has come.
// I4  Time grows with the length of the text, whatever is in it: models repeat themselves, and users ask them to.

export interface CitationFilter {
  /** The next piece of the answer; gives what may leave. */
  readonly push: (piece: string) => string;
  /** What was still held back; the answer is complete. */
  readonly end: () => string;
  /** Numbers of passages that were cited so far. */
  readonly cited: ReadonlySet<number>;
}

/** Longest marker that is taken for one, blanks before it included. */
const longestMarker = 64;
const marker = /([ \t]{0,8})\[[ \t]*(\d{1,4}(?:[ \t]*[,;][ \t]*\d{1,4})*)[ \t]*\]/g;
/** An end of the text that may become a marker, the end of a paragraph, or more backticks. */
const unfinished = /(?:\s+|[ \t]*\[[\d \t,;]*|`+)$/;

/** A filter for an answer whose sources are numbered from 1 to `passages`. */
export function createCitationFilter(passages: number): CitationFilter {
  const cited = new Set<number>();
  let held = "";
  /** Backticks that opened the code that we are in; "" outside. */
  let fence = "";

  const check = (text: string): string =>
    text.replaceAll(marker, (_whole, blanks: string, list: string) => {
      const known = list
        .split(/[,;]/)
        .map(Number)
        .filter((number) => number >= 1 && number <= passages);
      for (const number of known) cited.add(number);
      return known.length === 0 ? "" : `${blanks}${known.map((number) => `[${number}]`).join("")}`;
    });

  const release = (text: string): string => {
    let out = "";
    for (const part of text.split(/(`+|\n\s*\n)/)) {
      if (part.startsWith("`")) {
        if (fence === "") fence = part;
        else if (fence === part) fence = "";
        out += part;
      } else {
        // A single backtick that is never closed is a slip, no code: it ends with its paragraph.
        if (fence.length < 3 && /^\n\s*\n$/.test(part)) fence = "";
        out += fence === "" ? check(part) : part;
      }
    }
    return out;
  };

  return {
    cited,
    push(piece) {
      const text = held + piece;
      held = unfinished.exec(text.slice(-longestMarker))?.[0] ?? "";
      return release(text.slice(0, text.length - held.length));
    },
    end() {
      const text = held;
      held = "";
      return release(text);
    },
  };
}

/** The text without any citation. */
export function withoutCitations(text: string): string {
  const filter = createCitationFilter(0);
  return filter.push(text) + filter.end();
}
