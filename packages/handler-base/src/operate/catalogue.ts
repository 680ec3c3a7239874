// The services that a tool knows: methods by name, subjects by what they carry.
//
// I1  Everything here is read from the contracts of one installation; no subject is spelled.
import type { DescMessage, DescService } from "@bufbuild/protobuf";
import { readContract, type MethodContract, type ServiceContract, type ReplyContract } from "../contract.ts";
import { covers, literalPrefix, type SubjectPattern } from "../subjects.ts";
import { HandlerError } from "../error.ts";
import type { Installation } from "../names.ts";

export interface Catalogue {
  readonly at: Installation;
  readonly contracts: readonly ServiceContract[];
  readonly methods: readonly MethodContract[];
}

/** What messages on some subjects are. */
export interface SubjectUse {
  /** Subject with NATS wildcards, installation prefix included. */
  readonly filter: string;
  readonly kind: "request" | "event" | "frame" | "answer";
  readonly method: MethodContract;
  /** What a message without a type header is. */
  readonly type: DescMessage;
}

/** Reads the contracts of these services. Throws an Error for a contract that contradicts itself. */
export function openCatalogue(services: Iterable<DescService>, at: Installation): Catalogue {
  const contracts = [...services].map((service) => readContract(service, at));
  return { at, contracts, methods: contracts.flatMap(({ methods }) => methods) };
}

/** Contracts of some handlers, or all where none is named. Throws `not_found` that lists what there is. */
export function contractsOf({ contracts }: Catalogue, handlers: readonly string[]): readonly ServiceContract[] {
  const known = [...new Set(contracts.map(({ handler }) => handler))];
  const unknown = handlers.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new HandlerError(`there is no service ${unknown}; there is ${known.join(", ")}`, "not_found");
  }
  return handlers.length === 0 ? contracts : contracts.filter(({ handler }) => handlers.includes(handler));
}

/** A method by its name, with or without the package: `ChatService.Chat`. Throws `not_found` that lists what there is. */
export function findMethod({ methods }: Catalogue, name: string): MethodContract {
  const found = methods.filter((method) => method.name === name || method.name.endsWith(`.${name}`));
  const [only, ...more] = found;
  if (only === undefined || !name.includes(".")) {
    const list = methods.map((method) => `  ${method.name}`).join("\n");
    throw new HandlerError(`there is no method ${name}; there is\n${list}`, "not_found");
  }
  if (more.length > 0) {
    throw new HandlerError(
      `${name} is ${found.map((method) => method.name).join(" or ")}; name one`,
      "invalid_argument",
    );
  }
  return only;
}

/** The method that an event subject triggers. Throws `not_found` that lists the patterns. */
export function methodAt({ methods }: Catalogue, subject: string): { method: MethodContract; pattern: SubjectPattern } {
  for (const method of methods) {
    for (const { pattern } of method.events) if (covers(pattern.filter, subject)) return { method, pattern };
  }
  const known = methods.flatMap(({ events }) => events.map(({ pattern }) => `  ${pattern.text}`));
  throw new HandlerError(`no event subject of the contract is ${subject}; there is\n${known.join("\n")}`, "not_found");
}

/** Type of the one answer of a method on the event way: that of the rpc that folds its stream, where there is one. */
export function answerType({ methods }: Catalogue, method: MethodContract): DescMessage {
  const { desc } = method;
  const fold = methods.find((other) => other.desc.parent === desc.parent && other.folds === desc.name);
  return fold?.desc.output ?? desc.output;
}

/** Every subject of the contract with what it carries, narrow ones first. */
export function subjectUses(catalogue: Catalogue): SubjectUse[] {
  const uses: SubjectUse[] = [];
  for (const method of catalogue.methods) {
    const { desc, requestSubjects, events, reply } = method;
    for (const filter of requestSubjects) uses.push({ filter, kind: "request", method, type: desc.input });
    for (const { pattern } of events) uses.push({ filter: pattern.filter, kind: "event", method, type: desc.input });
    if (reply === undefined) continue;
    const type = answerType(catalogue, method);
    if (reply.frames) uses.push({ filter: reply.frames.filter, kind: "frame", method, type: desc.output });
    uses.push({ filter: reply.subject.filter, kind: "answer", method, type });
    for (const prefix of reply.overridePrefixes) {
      uses.push({ filter: `${prefix.replaceAll(/\{\w+\}/g, "*")}>`, kind: "answer", method, type });
    }
  }
  return uses;
}

/** Filters for everywhere that the one answer of a method may be published, subjects of the publisher's choosing included. */
export function answerFilters({ subject, overrideField, overridePrefixes }: ReplyContract): string[] {
  if (overrideField === undefined) return [subject.filter];
  const own = overridePrefixes.map((prefix) => `${prefix.replaceAll(/\{\w+\}/g, "*")}>`);
  return [`${literalPrefix(subject)}>`, ...own];
}

/** A type that some method of the catalogue reads or writes, by its full name. */
export function typeNamed({ methods }: Catalogue, typeName: string): DescMessage | undefined {
  for (const { desc } of methods) {
    if (desc.input.typeName === typeName) return desc.input;
    if (desc.output.typeName === typeName) return desc.output;
  }
  return undefined;
}
