// What all rows share: the server, the programs under measurement, and how long to measure.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import type { Load, Seen } from "../load/kinds.ts";
import { buildGoPeer } from "./go-peer.ts";
import { cpuUs, finish, pin, start, type Started } from "./process.ts";

const root = join(import.meta.dirname, "../..");
const run = promisify(execFile);

export interface Bench extends AsyncDisposable {
  readonly nats: NatsFixture;
  /** Path of the Go peer, if there is one. */
  readonly go: string | undefined;
  /** Why there is none. */
  readonly goMissing: string | undefined;
  /** Rounds in which the variants of a row take turns. */
  readonly rounds: number;
  /** Length of one measurement, s. */
  readonly seconds: number;
  readonly quick: boolean;
}

/** One line of the result. */
export interface Row {
  readonly figure: string;
  readonly ours: string;
  readonly raw?: string;
  readonly go?: string;
  readonly target: string;
  /** Undefined where there is no target or its other side is missing. */
  readonly met: boolean | undefined;
}

export async function openBench(quick: boolean): Promise<Bench> {
  await build(join(root, "bench/echo"));
  await build(join(root, "services/chat-handler"), "LLM_URL=http://127.0.0.1:9");
  const go = await buildGoPeer();
  const nats = await startNats();
  pin(nats.pid, "load");
  return {
    nats,
    go: "path" in go ? go.path : undefined,
    goMissing: "missing" in go ? go.missing : undefined,
    rounds: quick ? 1 : 5,
    seconds: quick ? 1 : 3,
    quick,
    [Symbol.asyncDispose]: () => nats[Symbol.asyncDispose](),
  };
}

/** Bundles the service in a folder, code caches included, as it would be shipped. */
async function build(folder: string, ...variables: string[]): Promise<void> {
  const bundler = join(root, "node_modules/rolldown/bin/cli.mjs");
  await run(process.execPath, [bundler, "-c", join(root, "rolldown.config.ts")], { cwd: folder });
  await run(process.execPath, [join(root, "tools/bundle/bake.ts"), folder, ...variables]);
}

/** Flags and variables that an image starts a service with. */
export const nodeFlags = ["--max-semi-space-size=1"];
const runtime = { MALLOC_ARENA_MAX: "1" };

export const bundled = (folder: string, env: Readonly<Record<string, string>>) => ({
  file: process.execPath,
  args: [...nodeFlags, join(root, folder, "dist/main.cjs")],
  env: { ...runtime, HEALTH_HOST: "127.0.0.1", HEALTH_PORT: "0", ...env },
  place: "measured" as const,
});

export function startEcho({ nats }: Bench, env: Readonly<Record<string, string>> = {}): Promise<Started> {
  return start(bundled("bench/echo", { NATS_URL: nats.url, ...env }));
}

export function startRaw({ nats }: Bench, env: Readonly<Record<string, string>>): Promise<Started> {
  return start({
    file: process.execPath,
    args: [...nodeFlags, join(root, "bench/peers/raw/main.ts")],
    env: { ...runtime, NATS_URL: nats.url, ...env },
    place: "measured",
  });
}

export async function startGo(
  { nats, go }: Bench,
  env: Readonly<Record<string, string>>,
): Promise<Started | undefined> {
  return go === undefined ? undefined : start({ file: go, env: { NATS_URL: nats.url, ...env }, place: "measured" });
}

/** Runs a load to its end. */
export async function apply({ nats }: Bench, load: Load): Promise<Seen> {
  const { stdout } = await finish({
    file: process.execPath,
    args: [join(root, "bench/load/main.ts"), JSON.stringify(load)],
    env: { NATS_URL: nats.url },
    place: "load",
  });
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Seen;
}

export interface Cost extends Seen {
  /** CPU of the measured process per message, µs. */
  readonly cpu: number;
}

/** Runs a load and says what it cost the process that serves it. */
export async function costOf(bench: Bench, pid: number, load: Load): Promise<Cost> {
  const before = cpuUs(pid);
  const seen = await apply(bench, load);
  return { ...seen, cpu: (cpuUs(pid) - before) / seen.count };
}
