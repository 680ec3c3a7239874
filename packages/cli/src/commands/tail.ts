// `handlers tail`: the messages on the contract's subjects, as they pass.
import type { DescMessage } from "@bufbuild/protobuf";
import type { Msg } from "@nats-io/nats-core";
import {
  contentTypeOf,
  covers,
  decode,
  headers,
  loadMessagePack,
  receive,
  subjectUses,
  typeNamed,
  widest,
  type Catalogue,
  type SubjectUse,
} from "@pipeline/handler-base/operations";
import { shown } from "../output/redact.ts";
import { catalogueFor, connectFor, sessionOptions, sessionUsage } from "../session.ts";
import { countOption, parse, UsageError, type Command } from "../usage.ts";

const usage = `handlers tail: print the messages on the contract's subjects as they pass

Usage: handlers tail [SUBJECT…] [OPTIONS]

Without SUBJECT all requests, events, frames and answers of the contract; wildcards are allowed. Messages are decoded by their type
header, else by the contract. One line a message: time, subject, type, size, error, fields. What users wrote is not printed.

  --content            print the whole message, texts of users included
  --json               one JSON document a message
  --count N            leave after N messages
${sessionUsage}`;

export const tail: Command = {
  summary: "print the messages on the contract's subjects as they pass",
  usage,
  async run(args, signal) {
    const { values, positionals } = parse(
      args,
      { ...sessionOptions, content: { type: "boolean" }, json: { type: "boolean" }, count: { type: "string" } },
      usage,
    );
    const bad = positionals.find((subject) => !isFilter(subject));
    if (bad !== undefined)
      throw new UsageError(`${JSON.stringify(bad)} is no subject: dots part its tokens, and * or > stand for tokens`);
    const count = countOption("count", values.count);
    const catalogue = await catalogueFor(values);
    const uses = subjectUses(catalogue);
    await loadMessagePack();
    await using tool = await connectFor("tail", values);
    const filters = widest(positionals.length > 0 ? positionals : uses.map(({ filter }) => filter));
    const received = receive(tool.nc, filters, signal);
    await tool.nc.flush();
    process.stderr.write(`listening on ${filters.join(" ")}\n`);
    try {
      for (let seen = 0; seen < count; seen += 1) {
        const message = await received.next();
        if (message === undefined) break;
        const entry = describe(message, catalogue, uses, values.content ?? false);
        process.stdout.write(`${values.json ? JSON.stringify(entry) : line(entry)}\n`);
      }
    } catch (reason) {
      if (!signal.aborted) throw reason;
    } finally {
      received.close();
    }
    return 0;
  },
};

interface Entry {
  readonly time: string;
  readonly subject: string;
  readonly type: string;
  readonly bytes: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly message?: unknown;
  readonly problem?: string;
}

function describe(message: Msg, catalogue: Catalogue, uses: readonly SubjectUse[], content: boolean): Entry {
  const given = Object.fromEntries([...(message.headers ?? [])].map(([name, [value = ""]]) => [name, value] as const));
  const type = typeOf(message, catalogue, uses);
  const entry = {
    time: new Date().toISOString(),
    subject: message.subject,
    type: type?.typeName ?? given[headers.type] ?? "",
    bytes: message.data.length,
    headers: given,
  };
  if (type === undefined || given[headers.claimCheck] !== undefined) return entry;
  if (message.data.length === 0 && given[headers.type] === undefined && message.headers !== undefined) return entry;
  try {
    const body = decode(type, message.data, contentTypeOf(given[headers.contentType], message.data));
    return { ...entry, message: shown(type, body, content) };
  } catch (error) {
    return { ...entry, problem: error instanceof Error ? error.message : String(error) };
  }
}

function typeOf(message: Msg, catalogue: Catalogue, uses: readonly SubjectUse[]): DescMessage | undefined {
  const stated = message.headers?.get(headers.type);
  if (stated) return typeNamed(catalogue, stated);
  return uses.find(({ filter }) => covers(filter, message.subject))?.type;
}

function line({ time, subject, type, bytes, headers: given, message, problem }: Entry): string {
  const error = given[headers.error];
  const fields: [string, unknown][] = typeof message === "object" && message !== null ? Object.entries(message) : [];
  const attempt = fields.some(([name]) => name === "attempt") ? undefined : given[headers.attempt];
  const parts = [
    time.slice(11, 23),
    subject,
    type === "" ? "?" : type.slice(type.lastIndexOf(".") + 1),
    `${bytes}B`,
    ...(attempt === undefined ? [] : [`attempt=${attempt}`]),
    ...(error === undefined ? [] : [`error=${JSON.stringify(error)}`]),
    ...(problem === undefined ? [] : [`problem=${JSON.stringify(problem)}`]),
  ];
  for (const [name, value] of fields) parts.push(`${name}=${JSON.stringify(value)}`);
  return parts.join(" ");
}

function isFilter(text: string): boolean {
  const tokens = text.split(".");
  return tokens.every(
    (token, index) =>
      token !== "" && !/\s/.test(token) && (!token.includes(">") || (token === ">" && index === tokens.length - 1)),
  );
}
