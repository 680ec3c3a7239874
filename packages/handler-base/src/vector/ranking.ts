// Rankings: the best of many scores, and one ranking out of several.

export interface Ranked {
  readonly slot: number;
  readonly score: number;
}

/** The best `limit` of the scores, best first, equal ones in the order of their slots. */
export function best(scores: Iterable<readonly [slot: number, score: number]>, limit: number): Ranked[] {
  return Array.from(scores, ([slot, score]) => ({ slot, score }))
    .toSorted((a, b) => b.score - a.score || a.slot - b.slot)
    .slice(0, limit);
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
