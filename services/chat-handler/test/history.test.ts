// Which turns of a conversation are kept, and whose they are.
import { Kvm, type KV } from "@nats-io/kv";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  conversationKey,
  decodeTurns,
  encodeTurns,
  turnsBefore,
  withTurn,
  type HistoryLimits,
  type Turn,
} from "../src/history.ts";
import { createHistory } from "../src/history-store.ts";

const limits: HistoryLimits = { turns: 3, maxBytes: 2000, ttlMs: 60_000 };
const turn = (id: number, text = "text"): Turn => ({ requestId: `r${id}`, at: id, question: text, answer: text });
const ids = (turns: readonly Turn[]): string[] => turns.map(({ requestId }) => requestId);

describe("turns", () => {
  test("the newest stay", () => {
    const kept = [1, 2, 3, 4].reduce<Turn[]>((turns, id) => withTurn(turns, turn(id), limits), []);
    expect(ids(kept)).toEqual(["r2", "r3", "r4"]);
  });

  test("a request that is written again replaces its turn", () => {
    const kept = withTurn([turn(1), turn(2)], turn(1, "again"), limits);
    expect(ids(kept)).toEqual(["r2", "r1"]);
    expect(kept[1]?.answer).toBe("again");
  });

  test("size is bounded, also that of a single turn", () => {
    const two = withTurn([turn(1, "x".repeat(400))], turn(2, "y".repeat(400)), limits);
    expect(ids(two)).toEqual(["r1", "r2"]);
    const one = withTurn(two, turn(3, "😀\u0000".repeat(5000)), limits);
    expect(ids(one)).toEqual(["r3"]);
    expect(encodeTurns(one).byteLength).toBeLessThanOrEqual(limits.maxBytes);
    expect(one[0]?.answer.length).toBeGreaterThan(50);
  });

  test("none are kept with 0 turns", () => {
    expect(withTurn([turn(1)], turn(2), { ...limits, turns: 0 })).toEqual([]);
    expect(turnsBefore([turn(1)], "r9", { ...limits, turns: 0 }, 2)).toEqual([]);
  });

  test("a request sees neither its own turn nor old ones", () => {
    expect(ids(turnsBefore([turn(1), turn(2), turn(3)], "r2", limits, 50))).toEqual(["r1", "r3"]);
    expect(ids(turnsBefore([turn(1), turn(40_000)], "r9", limits, 70_000))).toEqual(["r40000"]);
  });

  test("what is not a conversation is not read as one", () => {
    const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
    expect(decodeTurns(encodeTurns([turn(1)]))).toEqual([turn(1)]);
    expect(decodeTurns(new Uint8Array())).toEqual([]);
    for (const text of ["{", "{}", "null", "[1]", '[{"requestId":"r1"}]'])
      expect(decodeTurns(bytes(text))).toBeUndefined();
  });
});

describe("keys", () => {
  test("differ for every user and session, and show neither", () => {
    const pairs = [
      ["u1", "s1"],
      ["u2", "s1"],
      ["u1", "s2"],
      ["u1s", "1"],
      ["u", "1s1"],
      ["", "u1s1"],
      ['u1","s1', "x"],
    ] as const;
    const keys = pairs.map(([user, session]) => conversationKey(user, session));
    expect(new Set(keys).size).toBe(pairs.length);
    for (const key of keys) expect(key).toMatch(/^[\w-]{43}$/);
    expect(conversationKey("u1", "")).toBeUndefined();
  });
});

describe("store", () => {
  const log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log };
  const { signal } = new AbortController();
  let nats: NatsFixture;
  let bucket: KV;

  beforeAll(async () => {
    nats = await startNats();
    bucket = await new Kvm(await nats.connect()).create("turns");
  });
  afterAll(async () => {
    await nats[Symbol.asyncDispose]();
  });

  test("replicas that write one conversation at once lose no turn", async () => {
    const wide = { turns: 10, maxBytes: 10_000, ttlMs: Infinity };
    const replicas = [1, 2, 3, 4].map(() => createHistory(async () => bucket, wide, log));
    await Promise.all(replicas.map((history, index) => history.add("shared", turn(index), signal)));
    const turns = await createHistory(async () => bucket, wide, log).read("shared", "r9", signal);
    expect(ids(turns).toSorted()).toEqual(["r0", "r1", "r2", "r3"]);
  });

  test("a conversation that is damaged begins anew", async () => {
    await bucket.put("damaged", "no turns");
    const history = createHistory(async () => bucket, { ...limits, ttlMs: Infinity }, log);
    expect(await history.read("damaged", "r1", signal)).toEqual([]);
    await history.add("damaged", turn(1), signal);
    expect(ids(await history.read("damaged", "r2", signal))).toEqual(["r1"]);
  });

  test("a store that could not be opened is asked again", async () => {
    let opens = 0;
    const open = async (): Promise<KV> => {
      opens += 1;
      if (opens === 1) throw new Error("not provisioned yet");
      return bucket;
    };
    const history = createHistory(open, limits, log);
    await expect(history.read("later", "r1", signal)).rejects.toMatchObject({ code: "unavailable" });
    expect(await history.read("later", "r1", signal)).toEqual([]);
    await history.read("later", "r1", signal);
    expect(opens).toBe(2);
  });

  test("a store that never answers is given up, and a canceled call ends with its own reason", async () => {
    const history = createHistory(async () => bucket, limits, log);
    nats.pause();
    try {
      await expect(history.read("silent", "r1", signal)).rejects.toMatchObject({ code: "unavailable" });
      const stop = new AbortController();
      const reading = history.read("silent", "r1", stop.signal);
      stop.abort(Object.assign(new Error("left"), { name: "AbortError" }));
      await expect(reading).rejects.toMatchObject({ code: "canceled" });
    } finally {
      nats.resume();
    }
  });
});
