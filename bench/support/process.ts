// Processes under measurement: started on a processor of their own, ready by a line they print, measured by what Linux says of them.
//
// I1  Every process that is started is ended when the scope that holds it ends.
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { createInterface } from "node:readline";

/** Server and load share the first processor, what is measured has the second. */
export type Place = "load" | "measured";

const canPin = availableParallelism() > 1 && spawnSync("taskset", ["-c", "1", "true"]).status === 0;
const processorOf = (place: Place) => (place === "load" ? "0" : "1");

export interface Started extends AsyncDisposable {
  readonly pid: number;
  /** From the spawn to the line that says ready, ms. */
  readonly readyMs: number;
  /** Line that said so. */
  readonly line: string;
  /** SIGTERM; resolves to the exit code. */
  readonly stop: () => Promise<number | null>;
}

export interface Command {
  readonly file: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly place?: Place;
}

/** Starts a process and resolves when a line of it says ready. Rejects with what it said if it ends before. */
export async function start(command: Command): Promise<Started> {
  const begun = performance.now();
  const child = launch(command, ["ignore", "pipe", "pipe"]);
  const ended = once(child, "exit");
  const said: string[] = [];
  const line = await new Promise<string>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      if (!stream) continue;
      createInterface(stream).on("line", (text) => {
        if (said.length < 50) said.push(text);
        if (/^ready$|"ready"/.test(text)) resolve(text);
      });
    }
    void ended.then(() => reject(new Error(`${command.file} ended before it was ready:\n${said.join("\n")}`)));
  });
  const readyMs = performance.now() - begun;
  const stop = async () => {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
    await ended;
    clearTimeout(timer);
    return child.exitCode;
  };
  return { pid: child.pid ?? -1, readyMs, line, stop, [Symbol.asyncDispose]: async () => void (await stop()) };
}

/** Starts a program that says `ready` and later ends by itself; `finished` has its lines. */
export async function launchReady(command: Command): Promise<{ readonly finished: Promise<readonly string[]> }> {
  const child = launch(command, ["ignore", "pipe", "inherit"]);
  if (!child.stdout) throw new Error("no output");
  const lines: string[] = [];
  const reader = createInterface(child.stdout).on("line", (text) => lines.push(text));
  const finished = once(child, "close").then(([code]: unknown[]) => {
    if (code !== 0) throw new Error(`${command.file} ended with ${String(code)}`);
    return lines;
  });
  await Promise.race([once(reader, "line"), finished]);
  return { finished };
}

/** Runs a process to its end and resolves to what it printed. */
export async function finish(command: Command): Promise<{ readonly stdout: string; readonly ms: number }> {
  const begun = performance.now();
  const child = launch(command, ["ignore", "pipe", "inherit"]);
  let stdout = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`${command.file} ${(command.args ?? []).join(" ")} ended with ${String(code)}`);
  return { stdout, ms: performance.now() - begun };
}

function launch({ file, args = [], env = {}, place }: Command, stdio: ("ignore" | "pipe" | "inherit")[]): ChildProcess {
  const options = { env: { PATH: process.env["PATH"] ?? "", HOME: process.env["HOME"] ?? "", ...env }, stdio };
  return place !== undefined && canPin
    ? spawn("taskset", ["-c", processorOf(place), file, ...args], options)
    : spawn(file, args, options);
}

/** Puts a running process where the load is. */
export function pin(pid: number, place: Place): void {
  if (canPin) spawnSync("taskset", ["-acp", processorOf(place), String(pid)]);
}

/** CPU time that a process has used, µs; of 10 ms resolution. */
export function cpuUs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

/** Memory of a process, MiB. */
export function memory(pid: number): { readonly rss: number; readonly anon: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const of = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? Number.NaN) / 1024;
  return { rss: of("VmRSS"), anon: of("RssAnon") };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = Number.NaN, high = Number.NaN] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]];
  return (low + high) / 2;
}
