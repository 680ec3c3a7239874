// One section for each rpc: how to call it, where its answers go, and what holds for it.
import type { EventContract, ServiceContract } from "../../packages/handler-base/src/contract.ts";
import { commentOf, type Contract, type Rpc } from "./contract.ts";
import { code, duration, link, list } from "./markdown.ts";

/** Titles of the examples in the template, by what they show. */
const examples = {
  streamedEvent: "A streamed answer to an event",
  event: "One answer to an event, and none",
  streamedRequest: "A streamed answer by request-reply",
  request: "One answer by request-reply",
} as const;

/** A section for each service with one for each of its rpcs. */
export function rpcSections({ services }: Contract): string {
  return services
    .map(({ contract, rpcs }) => [serviceHead(contract), ...rpcs.map(rpcSection)].join("\n\n"))
    .join("\n\n");
}

function serviceHead({ desc, handler }: ServiceContract): string {
  return `### ${desc.name}\n\n${commentOf(desc)} Served by ${code(handler)}.`;
}

function rpcSection(rpc: Rpc): string {
  const lines = [...howToCall(rpc), ...answers(rpc), ...promises(rpc), exampleLinks(rpc)];
  return `#### ${rpc.name}\n\n${commentOf(rpc.contract.desc)}\n\n${lines.map((line) => `- ${line}`).join("\n")}`;
}

function howToCall({ contract }: Rpc): string[] {
  const { desc, requestSubjects, events } = contract;
  const input = desc.input.typeName.startsWith("google.") ? "an empty message" : link(desc.input.name);
  return [
    `Request: ${input}`,
    requestSubjects.length > 0
      ? `Request subject: ${list(requestSubjects.map(code), "or")}`
      : "Request subject: none, it is reached by events only",
    events.length > 0
      ? `Event subjects: ${list(events.map(eventText), "or")}`
      : "Event subjects: none, it is reached by request-reply only",
  ];
}

function eventText({ pattern, stream }: EventContract): string {
  const user = pattern.fields.has("user_id") ? "names the caller, " : "";
  return `${code(pattern.text)} (${user}stream ${code(stream)})`;
}

function answers({ contract, streaming, final }: Rpc): string[] {
  const { desc, requestSubjects, reply, events } = contract;
  const lines: string[] = [];
  if (requestSubjects.length > 0) {
    lines.push(
      streaming
        ? `Answer to a request: ${link(desc.output.name)} frames, then an empty message`
        : `Answer to a request: one ${link(desc.output.name)}`,
    );
  }
  if (events.length > 0 && reply === undefined) lines.push("Answer to an event: none");
  if (reply?.frames) {
    const condition = reply.framesField === undefined ? "" : `, if the request sets ${code(reply.framesField)}`;
    lines.push(`Frames of an event: ${link(desc.output.name)} on ${code(reply.frames.text)}${condition}`);
  }
  if (reply && final) {
    lines.push(`Final answer to an event: one ${link(final.name)} on ${code(reply.subject.text)}`);
  }
  if (reply?.overrideField) {
    lines.push(
      `The request's ${code(reply.overrideField)} replaces the subject of the final answer: below ` +
        `${code(literalPrefix(reply.subject.text))} ending in the request's id, or below ` +
        list(reply.overridePrefixes.map(code), "or"),
    );
  }
  return lines;
}

function promises({ contract, foldedBy }: Rpc): string[] {
  const { deadlineMs, concurrency, retry, storedAnswer, orderingField, folds, events, desc } = contract;
  const lines = [
    `Deadline without a header: ${duration(deadlineMs)}; calls that one replica runs at once: ${concurrency}`,
  ];
  if (events.length > 0) {
    lines.push(
      `An event that fails for a reason that may pass is tried ${retry.maxAttempts} times in all: again after ` +
        `${duration(retry.initialDelayMs)}, then ${retry.factor} times longer each time, at most ${duration(retry.maxDelayMs)}`,
    );
  }
  if (storedAnswer) lines.push("The same request again attaches to the run or gets the stored answer");
  if (orderingField !== undefined) {
    lines.push(`Requests with the same ${code(orderingField)} run one at a time, in the order of their publishing`);
  }
  if (folds !== undefined)
    lines.push(
      `Folds the stream of ${link(`${desc.parent.name}.${folds}`)} into one answer and shares its stored answers`,
    );
  if (foldedBy !== undefined) lines.push(`As one answer: ${link(foldedBy)}`);
  return lines;
}

function exampleLinks({ contract, streaming }: Rpc): string {
  const titles = [
    ...(contract.events.length === 0 ? [] : [streaming ? examples.streamedEvent : examples.event]),
    ...(contract.requestSubjects.length === 0 ? [] : [streaming ? examples.streamedRequest : examples.request]),
  ];
  return `Example: ${list(titles.map(link), "or")}`;
}

const literalPrefix = (pattern: string) => pattern.slice(0, pattern.indexOf("{"));
