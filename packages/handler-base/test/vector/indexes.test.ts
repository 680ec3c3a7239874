import { array, assert, boolean, constantFrom, double, float, integer, oneof, property, tuple } from "fast-check";
import { expect, test } from "vitest";
import { createKeywordIndex } from "../../src/vector/keyword-index.ts";
import { best, fuse } from "../../src/vector/ranking.ts";
import { createVectorIndex } from "../../src/vector/vector-index.ts";
import { stem, wordsOf } from "../../src/vector/words.ts";

const slots = (ranking: readonly { slot: number }[]): number[] => ranking.map((each) => each.slot);

test("words are lower case, stemmed, and identifiers whole and in parts", () => {
  expect(wordsOf("Retries of num_ack_pending in JetStream's log.")).toEqual([
    "retry",
    "num",
    "ack",
    "pend",
    "num_ack_pending",
    "jet",
    "stream",
    "jetstream",
    "s",
    "log",
  ]);
  expect(["retries", "retried", "retry"].map(stem)).toEqual(["retry", "retry", "retry"]);
  expect(["stopped", "stops", "stopping"].map(stem)).toEqual(["stop", "stop", "stop"]);
  expect(wordsOf("the of and is")).toEqual([]);
});

test("a rare word weighs more than a common one, a short text more than a long one", () => {
  const index = createKeywordIndex();
  index.add(0, "server server server other text about many different things of a system");
  index.add(1, "server lease");
  index.add(2, "server");
  expect(slots(index.search("lease server", 3))).toEqual([1, 2, 0]);
  expect(index.search("absent", 3)).toEqual([]);
  expect(index.search("the of", 3)).toEqual([]);
});

test("what was removed is not found, and the rest ranks as if it had never been there", () => {
  const text = array(constantFrom("alpha", "beta", "gamma", "delta"), { minLength: 1, maxLength: 6 }).map((all) =>
    all.join(" "),
  );
  assert(
    property(array(text, { minLength: 2, maxLength: 12 }), integer({ min: 1, max: 11 }), (all, removed) => {
      const kept = all.slice(removed);
      const whole = createKeywordIndex();
      for (const [at, each] of all.entries()) whole.add(at, each);
      for (const [at, each] of all.slice(0, removed).entries()) whole.remove(at, each);
      const fresh = createKeywordIndex();
      for (const [at, each] of kept.entries()) fresh.add(at + removed, each);
      expect(whole.search("alpha gamma", 12)).toEqual(fresh.search("alpha gamma", 12));
    }),
  );
});

test("vectors are ranked by cosine, whatever their length, and a slot can be used again", () => {
  const index = createVectorIndex(2);
  index.set(0, new Float32Array([10, 0]));
  index.set(1, new Float32Array([0, 0.1]));
  index.set(70, new Float32Array([1, 1]));
  expect(slots(index.search(new Float32Array([2, 0.1]), 3))).toEqual([0, 70, 1]);
  expect(index.get(0)).toEqual(new Float32Array([1, 0]));
  index.remove(0);
  expect(index.get(0)).toBeUndefined();
  expect(slots(index.search(new Float32Array([1, 0]), 3))).toEqual([70, 1]);
  index.set(0, new Float32Array([0, -1]));
  expect(slots(index.search(new Float32Array([1, 0]), 1))).toEqual([70]);
  expect(index.search(new Float32Array([0, 0]), 3)).toHaveLength(3);
});

test("the vector index gives what comparing each pair gives", () => {
  const vector = array(float({ noNaN: true, noDefaultInfinity: true, min: -10, max: 10 }), {
    minLength: 3,
    maxLength: 3,
  });
  assert(
    property(
      array(vector, { minLength: 1, maxLength: 40 }),
      vector,
      integer({ min: 1, max: 5 }),
      (all, query, limit) => {
        const index = createVectorIndex(3);
        for (const [slot, each] of all.entries()) index.set(slot, new Float32Array(each));
        const found = index.search(new Float32Array(query), limit);
        const cosine = (a: number[], b: number[]): number => {
          const length = (each: number[]) => Math.hypot(...each);
          const sum = a.reduce((total, value, at) => total + value * (b[at] ?? 0), 0);
          return length(a) === 0 || length(b) === 0 ? 0 : sum / (length(a) * length(b));
        };
        const expected = all
          .map((each) => cosine(each, query))
          .toSorted((a, b) => b - a)
          .slice(0, limit);
        expect(found).toHaveLength(expected.length);
        for (const [at, each] of found.entries()) expect(each.score).toBeCloseTo(expected[at] ?? Number.NaN, 4);
      },
    ),
  );
});

test("the best of many is the start of all sorted, equal ones in the order of their slots, however they come", () => {
  const scores = array(oneof(double({ noNaN: true }), integer({ min: 0, max: 3 })), { maxLength: 500 });
  assert(
    property(scores, integer({ min: 1, max: 20 }), boolean(), (all, limit, backwards) => {
      const pairs = all.map((score, slot): [number, number] => [slot, score]);
      const sorted = pairs.toSorted((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, limit);
      const given = backwards ? pairs.toReversed() : pairs;
      expect(best(given, limit).map(({ slot, score }) => [slot, score])).toEqual(sorted);
    }),
  );
});

test("fusion puts first what both rankings have, and keeps what only one has", () => {
  const ranking = (...order: number[]) => order.map((slot, at) => ({ slot, score: 100 - at }));
  expect(slots(fuse([ranking(1, 2, 3), ranking(3, 4, 1)], 10))).toEqual([1, 3, 2, 4]);
  expect(slots(fuse([ranking(1, 2), []], 10))).toEqual([1, 2]);
  const orders = array(integer({ min: 0, max: 20 }), { maxLength: 20 }).map((all) => [...new Set(all)]);
  assert(
    property(tuple(orders, orders), ([a, b]) => {
      const fused = fuse([ranking(...a), ranking(...b)], 100);
      expect(new Set(slots(fused))).toEqual(new Set([...a, ...b]));
      expect(fused).toEqual(fused.toSorted((x, y) => y.score - x.score || x.slot - y.slot));
    }),
  );
});
