// `handlers call`: one call by name, on the request subject or as an event.
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import type { JsonValue } from "@bufbuild/protobuf";
import { callMethod, methodAt, publishEvent, requestFrom, type Piece } from "@pipeline/handler-base/operations";
import { methodNamed } from "../method-name.ts";
import { createAnswerWriter } from "../output/answer.ts";
import { catalogueFor, connectFor, sessionOptions, sessionUsage } from "../session.ts";
import { numberOption, parse, UsageError, wrongUse, type Command } from "../usage.ts";

const usage = `handlers call: call a service and print its answer

Usage: handlers call SERVICE.METHOD [JSON | @FILE | -] [OPTIONS]
       handlers call [SERVICE.METHOD] [JSON | @FILE | -] --subject SUBJECT [OPTIONS]

The request is JSON (ProtoJSON), given as it is, in a file, or on standard input; without one it is empty. Streams are printed as they
come, and at the end the sources; other answers are printed as JSON.

  --subject SUBJECT    publish bare protobuf on this event subject and read the documented answer subjects; a missing request id is
                       made, and frames are asked for unless the request says otherwise
  --json               one JSON document a frame or answer, one a line
  --timeout SECONDS    time for the whole call; default: the contract's deadline
${sessionUsage}`;

const largestTimeoutSeconds = 86_400;

export const call: Command = {
  summary: "call a service and print its answer as it comes",
  usage,
  async run(args, signal) {
    const { values, positionals } = parse(
      args,
      { ...sessionOptions, subject: { type: "string" }, json: { type: "boolean" }, timeout: { type: "string" } },
      usage,
    );
    const catalogue = await catalogueFor(values);
    const { subject } = values;
    const [first, second, ...more] = positionals;
    const name = subject !== undefined && (first === undefined || isInput(first)) ? undefined : first;
    const input = name === undefined ? first : second;
    const extra = name === undefined ? second : more[0];
    if (extra !== undefined) throw wrongUse("call", `unexpected argument ${extra}`);
    const named = name === undefined ? undefined : methodNamed(catalogue, name, values["proto-module"] !== undefined);
    const method = subject === undefined ? named : methodAt(catalogue, subject).method;
    if (method === undefined)
      throw wrongUse("call", "name a method (SERVICE.METHOD), or an event subject by --subject");
    if (named !== undefined && method !== named) {
      throw new UsageError(`${subject ?? ""} is a subject of ${method.name}, not of ${named.name}`);
    }
    const timeoutMs =
      numberOption("timeout", values.timeout, method.deadlineMs / 1000, 0.001, largestTimeoutSeconds) * 1000;
    const json = await readInput(input);
    const request = requestFrom(method, json); // said before a connection is made
    await using tool = await connectFor("call", values);
    const pieces: AsyncIterable<Piece> =
      subject === undefined
        ? callMethod(tool.nc, catalogue, method, request, { signal, timeoutMs })
        : publishEvent(tool.nc, catalogue, subject, json, { signal, timeoutMs });
    const writer = createAnswerWriter(process.stdout, process.stderr, values.json ?? false);
    try {
      for await (const piece of pieces) await writer.write(piece);
    } finally {
      await writer.end();
    }
    return 0;
  },
};

const isInput = (argument: string) => argument === "-" || argument.startsWith("@") || /^\s*[[{"]/.test(argument);

async function readInput(argument: string | undefined): Promise<JsonValue> {
  if (argument === undefined) return {};
  const source = argument === "-" ? "standard input" : argument.startsWith("@") ? argument.slice(1) : "the request";
  let content: string;
  try {
    content =
      argument === "-"
        ? await text(process.stdin)
        : argument.startsWith("@")
          ? await readFile(argument.slice(1), "utf8")
          : argument;
  } catch (error) {
    throw new UsageError(`${source} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  try {
    return JSON.parse(content) as JsonValue;
  } catch (error) {
    throw new UsageError(`${source} is no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}
