// Rankings: the best of many scores, and one ranking out of several.

export interface Ranked {
  readonly slot: number;
  readonly score: number;
}

/** The best `limit` of the scores, best first, equal ones in the order of their slots. */
export function best(scores: Iterable<readonly [slot: number, score: number]>, limit: number): Ranked[] {
  let kept: Ranked[] = [];
  let worst = -Infinity;
  for (const [slot, score] of scores) {
    if (score < worst) continue;
    kept.push({ slot, score });
    if (kept.length < limit * 2 + 64) continue; // sorted now and then: all of a large collection at once would take long
    kept = kept.toSorted(byScore).slice(0, limit);
    worst = kept.at(-1)?.score ?? -Infinity;
  }
  return kept.toSorted(byScore).slice(0, limit);
}

function byScore(a: Ranked, b: Ranked): number {
  return b.score - a.score || a.slot - b.slot;
}

/** Rank constant of reciprocal rank fusion: how little the very first places count more than the next. */
const fusionConstant = 60;

/** One ranking out of several by rank alone, because scores of words and of vectors cannot be compared. */
export function fuse(rankings: readonly (readonly Ranked[])[], limit: number): Ranked[] {
  const scores = new Map<number, number>();
  for (const ranking of rankings) {
    for (const [rank, { slot }] of ranking.entries()) {
      scores.set(slot, (scores.get(slot) ?? 0) + 1 / (fusionConstant + rank + 1));
    }
  }
  return best(scores, limit);
}
