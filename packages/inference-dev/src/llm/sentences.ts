// Whole sentences out of the pieces in which a model writes.
// I1: nothing is lost or doubled; what follows the last full stop comes with `end`.

export interface SentenceSplitter {
  /** Sentences that are whole with this piece. */
  readonly push: (piece: string) => string[];
  readonly end: () => string[];
}

// a citation after the full stop belongs to the sentence before it
const boundary = /[.!?…]["')\]]?(?:\s*\[\d+(?:\s*,\s*\d+)*\])*\s+(?=\S)(?!\[)|\n+/u;
const notAnEnd = /(?:\b(?:e\.g|i\.e|etc|vs|cf|[A-Z])\.|^\s*\d+\.)\s+$/;

export function createSentenceSplitter(): SentenceSplitter {
  let rest = "";
  const take = (): string[] => {
    const out: string[] = [];
    for (let from = 0; ;) {
      const found = boundary.exec(rest.slice(from));
      if (found === null) return out;
      const end = from + found.index + found[0].length;
      if (notAnEnd.test(rest.slice(0, end))) {
        from = end;
        continue;
      }
      out.push(rest.slice(0, end).trim());
      rest = rest.slice(end);
      from = 0;
    }
  };
  return {
    push(piece) {
      rest += piece;
      return take().filter((sentence) => sentence !== "");
    },
    end() {
      const last = rest.trim();
      rest = "";
      return last === "" ? [] : [last];
    },
  };
}
