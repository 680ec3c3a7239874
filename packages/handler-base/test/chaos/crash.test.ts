// Kills at random points under load: every durable request is answered once, every typed caller is told, and nothing is run more often
// than the kills explain.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { crashUnderLoad } from "./support/crash.ts";
import { bundleVictim, type Bundle } from "./support/victim.ts";

let bundle: Bundle;
beforeAll(async () => {
  bundle = await bundleVictim();
}, 60_000);
afterAll(() => bundle[Symbol.asyncDispose]());

/** A replica is taken for dead after four seconds of silence. */
const keepAliveMs = 4000;

describe("two replicas under load", { timeout: 300_000 }, () => {
  test("of which a random one is killed ten times", async () => {
    const report = await crashUnderLoad({ bundle, kills: 10, everyMs: 60, answersWithinMs: 60_000 });
    expect(report.harmed).toEqual([]);
    expect(report.wrongAnswers).toEqual([]);
    expect(report.severalFinals).toEqual([]);
    expect(report.tooManyRuns).toEqual([]);
    expect(report.wrongFrames).toEqual([]);
    const untold = report.told.filter(
      ({ outcome, extraMs }) => !["ok", "unavailable"].includes(outcome) || extraMs > 5 * keepAliveMs,
    );
    expect(untold).toEqual([]);
    // The test has tested something: kills hit runs, calls were cut off, and most went well.
    expect(report.hits).toBeGreaterThan(0);
    expect(report.told.filter(({ outcome }) => outcome === "unavailable").length).toBeGreaterThan(0);
    expect(report.told.filter(({ outcome }) => outcome === "ok").length).toBeGreaterThan(report.told.length / 2);
  });
});
