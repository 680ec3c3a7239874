// `handlers dlq`: dead letters listed, shown, replayed, dropped.
//
// I1  What users wrote is printed by `show` only, and there only because it was asked for by sequence.
import { setTimeout as sleep } from "node:timers/promises";
import {
  contentTypeOf,
  contractsOf,
  decode,
  headers,
  loadMessagePack,
  openDeadLetters,
  type DeadLetter,
  type DeadLetters,
  type LetterFilter,
} from "@pipeline/handler-base/operations";
import { shown } from "../output/redact.ts";
import { catalogueFor, connectFor, sessionOptions, sessionUsage } from "../session.ts";
import { countOption, numberOption, parse, UsageError, wrongUse, type Command } from "../usage.ts";

const usage = `handlers dlq: dead letters, the messages that failed for good

Usage: handlers dlq ls     [SERVICE…] [FILTERS] [--json] [--limit N]
       handlers dlq show   SERVICE SEQ… [--json]
       handlers dlq replay [SERVICE…] [SEQ…] [FILTERS] [--rate N] [--dry-run] [--limit N]
       handlers dlq drop   [SERVICE…] [SEQ…] [FILTERS] --yes

  ls      lists them, the oldest first
  show    prints headers and the decoded message
  replay  publishes them again on their original subjects as new requests, after the stored error of the request (never a stored
          success) is removed; a letter goes when the server has confirmed its message
  drop    deletes them

  --cause CODE         only letters with this cause: unavailable, invalid_argument, max_deliveries, …
  --method METHOD      only letters for this method: ChatService.Chat
  --since TIME         only letters of the last 30s, 15m, 2h, 7d, or since 2026-01-31T12:00:00Z
  --limit N            at most so many
  --rate N             messages a second for replay; default 10
  --dry-run            print what would be replayed
  --yes                drop without asking
  --json               one JSON document a letter
${sessionUsage}`;

const verbs = ["ls", "show", "replay", "drop"] as const;

const options = {
  ...sessionOptions,
  cause: { type: "string" },
  method: { type: "string" },
  since: { type: "string" },
  limit: { type: "string" },
  rate: { type: "string" },
  "dry-run": { type: "boolean" },
  yes: { type: "boolean" },
  json: { type: "boolean" },
} as const;

interface Values {
  readonly cause?: string | undefined;
  readonly method?: string | undefined;
  readonly since?: string | undefined;
  readonly limit?: string | undefined;
  readonly rate?: string | undefined;
  readonly "dry-run"?: boolean | undefined;
  readonly yes?: boolean | undefined;
  readonly json?: boolean | undefined;
}

export const dlq: Command = {
  summary: "list, show, replay or drop dead letters",
  usage,
  async run(args, signal) {
    const { values, positionals } = parse(args, options, usage);
    const [first, ...rest] = positionals;
    const verb = verbs.find((name) => name === first);
    if (verb === undefined) {
      const what = first === undefined ? "say what to do" : `dlq cannot ${first}`;
      throw wrongUse("dlq", `${what}: it can ${verbs.join(", ")}`);
    }
    const sequences = rest.filter((one) => /^\d+$/.test(one)).map(Number);
    const services = rest.filter((one) => !/^\d+$/.test(one));
    if (sequences.length > 0 && services.length !== 1) {
      throw new UsageError("name the one service whose letters these sequences are");
    }
    if (verb === "show" && sequences.length === 0) throw new UsageError("name a service and the sequences to show");
    if (verb === "drop" && !values.yes) throw new UsageError("drop deletes letters for good; say --yes");
    const filter: LetterFilter = {
      cause: values.cause,
      method: values.method,
      since: values.since === undefined ? undefined : timeOf(values.since),
      ...(sequences.length > 0 && { sequences }),
    };
    const limit = countOption("limit", values.limit);
    const rate = numberOption("rate", values.rate, 10, 0.01, 10_000);
    const catalogue = await catalogueFor(values);
    const contracts = contractsOf(catalogue, services);
    await loadMessagePack();
    await using tool = await connectFor("dlq", values);
    const letters = await openDeadLetters(tool.nc, contracts, catalogue.at);
    try {
      const run: Run = { letters, values, rate, signal };
      const found = await eachLetter(take(letters.list(filter, signal), limit), (letter) => act(verb, letter, run));
      for (const seq of sequences.filter((one) => !found.sequences.has(one))) {
        process.stderr.write(`handlers: ${services[0] ?? ""} has no letter ${seq} that matches\n`);
      }
      if (verb !== "show" && !values.json) process.stderr.write(summary(verb, found, values["dry-run"] ?? false));
      return found.failed > 0 || found.sequences.size < sequences.length ? 1 : 0;
    } finally {
      letters.close();
    }
  },
};

interface Run {
  readonly letters: DeadLetters;
  readonly values: Values;
  readonly rate: number;
  readonly signal: AbortSignal;
}

interface Found {
  count: number;
  failed: number;
  readonly sequences: Set<number>;
}

async function eachLetter(letters: AsyncIterable<DeadLetter>, run: (letter: DeadLetter) => Promise<boolean>) {
  const found: Found = { count: 0, failed: 0, sequences: new Set() };
  for await (const letter of letters) {
    found.sequences.add(letter.seq);
    if (await run(letter)) found.count += 1;
    else found.failed += 1;
  }
  return found;
}

/** False where it could not be done; why is said. */
async function act(verb: (typeof verbs)[number], letter: DeadLetter, run: Run): Promise<boolean> {
  const { letters, values } = run;
  switch (verb) {
    case "ls":
      process.stdout.write(`${values.json ? JSON.stringify(facts(letter)) : line(letter)}\n`);
      return true;
    case "show":
      process.stdout.write(values.json ? `${JSON.stringify(whole(letter))}\n` : `${page(letter)}\n`);
      return true;
    case "replay":
      return replay(letter, run);
    case "drop":
      await letters.drop(letter);
      process.stdout.write(`dropped ${line(letter)}\n`);
      return true;
    default:
      return unreachable(verb);
  }
}

async function replay(letter: DeadLetter, { letters, values, rate, signal }: Run): Promise<boolean> {
  if (values["dry-run"]) {
    process.stdout.write(`would replay ${line(letter)}\n`);
    return true;
  }
  try {
    const { purgedError } = await letters.replay(letter, signal);
    process.stdout.write(`replayed ${line(letter)}${purgedError ? " (its stored error was removed)" : ""}\n`);
    await sleep(1000 / rate, undefined, { signal });
    return true;
  } catch (reason) {
    if (signal.aborted) throw reason;
    process.stderr.write(`handlers: not replayed: ${reason instanceof Error ? reason.message : String(reason)}\n`);
    return false;
  }
}

async function* take(letters: AsyncIterable<DeadLetter>, limit: number): AsyncGenerator<DeadLetter> {
  let left = limit;
  for await (const letter of letters) {
    yield letter;
    if (--left <= 0) return;
  }
}

function facts({
  handler,
  seq,
  time,
  cause,
  message,
  method,
  originalSubject,
  requestId,
  deliveries,
  data,
}: DeadLetter) {
  return {
    service: handler,
    seq,
    time: time.toISOString(),
    cause,
    message,
    method: method?.name ?? "",
    subject: originalSubject,
    requestId,
    deliveries,
    bytes: data.length,
  };
}

function whole(letter: DeadLetter) {
  const given = Object.fromEntries([...letter.headers].map(([name, values]) => [name, values.join(", ")]));
  const type = letter.method?.desc.input;
  if (type === undefined) return { ...facts(letter), headers: given };
  try {
    const body = decode(type, letter.data, contentTypeOf(given[headers.contentType], letter.data));
    return { ...facts(letter), headers: given, type: type.typeName, request: shown(type, body, true) };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    const start = Buffer.from(letter.data.subarray(0, 256)).toString("hex");
    return { ...facts(letter), headers: given, type: type.typeName, problem, hex: start };
  }
}

function line(letter: DeadLetter): string {
  const { service, seq, time, cause, message, method, subject, requestId, deliveries } = facts(letter);
  const id = requestId === "" ? "" : ` request_id=${requestId}`;
  return `${service} ${seq} ${time} ${cause} ${method} ${subject} deliveries=${deliveries}${id} ${JSON.stringify(message)}`;
}

function page(letter: DeadLetter): string {
  const { headers: given, ...rest } = whole(letter);
  const lines = Object.entries(given).map(([name, value]) => `${name}: ${value}`);
  const body = "request" in rest ? rest.request : rest;
  return `${line(letter)}\n\n${lines.join("\n")}\n\n${JSON.stringify(body, undefined, 2)}`;
}

function summary(verb: (typeof verbs)[number], { count, failed }: Found, dryRun: boolean): string {
  const done = { ls: "found", show: "shown", replay: dryRun ? "to be replayed" : "replayed", drop: "dropped" }[verb];
  return `${count} ${done}${failed > 0 ? `, ${failed} not` : ""}\n`;
}

const units: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function timeOf(text: string): number {
  const [, amount, unit = ""] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  const time = amount === undefined ? Date.parse(text) : Date.now() - Number(amount) * (units[unit] ?? 0);
  if (Number.isNaN(time))
    throw new UsageError(`--since ${text}: write 30s, 15m, 2h, 7d or a time like 2026-01-31T12:00:00Z`);
  return time;
}

function unreachable(verb: never): never {
  throw new Error(`unknown verb ${String(verb)}`);
}
