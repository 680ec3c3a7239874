// Kills replicas of the echo bundle under load, many times, and prints what came of every request and call.
// Usage: node bench/crash/main.ts [--kills 100]. Exit code 1 where a promise was broken.
import { parseArgs } from "node:util";
import { crashUnderLoad, type CrashReport } from "../../packages/handler-base/test/chaos/support/crash.ts";
import { bundleVictim } from "../../packages/handler-base/test/chaos/support/victim.ts";

const { values } = parseArgs({ options: { kills: { type: "string", default: "100" } } });
const kills = Number(values.kills);
if (!Number.isInteger(kills) || kills < 1) throw new Error("--kills takes a whole number from 1");

await using bundle = await bundleVictim();
const begun = performance.now();
const report = await crashUnderLoad({ bundle, kills, everyMs: 60, answersWithinMs: 120_000 });
print(report, performance.now() - begun);

function print({ told, ...rest }: CrashReport, tookMs: number): void {
  const by = Object.groupBy(told, ({ outcome }) => outcome);
  console.log(
    JSON.stringify(
      {
        kills: rest.kills,
        seconds: Math.round(tookMs / 1000),
        durableRequests: rest.requests,
        runs: rest.runs,
        runsHitByKills: rest.hits,
        calls: Object.fromEntries(Object.entries(by).map(([outcome, calls = []]) => [outcome, calls.length])),
        longestWaitOfACallMs: Math.round(Math.max(...told.map(({ extraMs }) => extraMs))),
        wrongAnswers: rest.wrongAnswers,
        severalFinals: rest.severalFinals,
        tooManyRuns: rest.tooManyRuns,
        wrongFrames: rest.wrongFrames,
        harmed: rest.harmed,
      },
      null,
      2,
    ),
  );
  const broken = [rest.wrongAnswers, rest.severalFinals, rest.tooManyRuns, rest.wrongFrames, rest.harmed];
  if (broken.some((list) => list.length > 0) || by["deadline_exceeded"] !== undefined) process.exitCode = 1;
}
