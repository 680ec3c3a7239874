// The NATS bindings of the rpcs: complete, and naming only what exists.
import { getOption, hasOption, ScalarType, type DescMethod } from "@bufbuild/protobuf";
import { EmptySchema } from "@bufbuild/protobuf/wkt";
import { field as fieldRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { describe, expect, test } from "vitest";
import {
  contractServices,
  method as methodOption,
  service as serviceOption,
  StreamRole,
  StreamStorage,
  type MethodBinding,
} from "../src/index.ts";
import { methods } from "./roles.ts";

const streams = contractServices.flatMap((service) => getOption(service, serviceOption).streams);
const bound = methods.map((desc) => ({
  name: `${desc.parent.name}.${desc.name}`,
  desc,
  ...getOption(desc, methodOption),
}));

const fieldsIn = (pattern: string) => [...pattern.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? "");
const fieldNamed = ({ input }: DescMethod, name: string) => input.fields.find((field) => field.name === name);
const filterOf = (pattern: string) => pattern.replaceAll(/\{\w+\}/g, "*");

/** Whether a subject or filter lies within a filter. */
function covers(filter: string, subject: string): boolean {
  const [want, have] = [filter.split("."), subject.split(".")];
  const rest = want.indexOf(">");
  if (rest === -1 ? want.length !== have.length : have.length <= rest) return false;
  return want.slice(0, rest === -1 ? undefined : rest).every((token, at) => token === "*" || token === have[at]);
}

test("the origin's entry points are all bound", () => {
  expect(bound.flatMap(({ events }) => events.map(({ subject }) => filterOf(subject))).toSorted()).toEqual([
    "ai.chat.request",
    "ai.chat.user.*.greeting.request",
    "ai.chat.user.*.login",
    "ai.chat.user.*.message",
    "ai.pipeline.trigger",
    "ai.voice.stream.*",
    "ai.voice.tts.request.*",
    "ai.voice.user.*.request",
    "voice.request",
  ]);
});

test("every service names its program, and streams of one name are the same stream", () => {
  const handlers = contractServices.map((service) => getOption(service, serviceOption).handler);
  expect(handlers).toEqual(["chat-handler", "voice-assistant", "stt-module", "tts-module", "pipeline-bridge"]);
  expect(new Set(streams.map(({ name }) => name)).size).toBe(streams.length);
});

test.each(streams)("stream $name says what it is for, where it is kept and for how long", (stream) => {
  expect(stream.name).toMatch(/^[A-Z][A-Z0-9_]*$/);
  expect(stream.role).not.toBe(StreamRole.UNSPECIFIED);
  expect(stream.storage).not.toBe(StreamStorage.UNSPECIFIED);
  expect(stream.maxAge?.seconds).toBeGreaterThan(0n);
  expect(stream.subjects.length).toBeGreaterThan(0);
  const others = streams.filter((other) => other !== stream).flatMap(({ subjects }) => subjects);
  for (const subject of stream.subjects) {
    expect(others.filter((other) => covers(other, subject) || covers(subject, other))).toEqual([]);
  }
});

describe.each(bound)("$name", (rpc: MethodBinding & { desc: DescMethod }) => {
  const { desc, events, reply } = rpc;

  test("has a binding", () => {
    expect(hasOption(desc, methodOption)).toBe(true);
    expect(rpc.eventsOnly && events.length === 0).toBe(false);
    expect(rpc.concurrency).toBeGreaterThan(0);
  });

  test("its event subjects lie in an ingress stream of the service and name fields of the request", () => {
    const own = getOption(desc.parent, serviceOption).streams;
    for (const { subject, stream } of events) {
      const home = own.find(({ name }) => name === stream);
      expect(home?.role).toBe(StreamRole.INGRESS);
      expect(home?.subjects.some((filter) => covers(filter, filterOf(subject)))).toBe(true);
      for (const field of fieldsIn(subject)) expect(fieldNamed(desc, field)?.scalar).toBe(ScalarType.STRING);
    }
  });

  test("its request subjects lie in no stream", () => {
    const subjects = rpc.eventsOnly ? [] : [`${desc.parent.typeName}.${desc.name}`, ...rpc.requestSubjects];
    const captured = subjects.filter((subject) =>
      streams.some((stream) => stream.subjects.some((filter) => covers(filter, subject))),
    );
    expect(captured).toEqual([]);
  });

  test("its answers go where fields of the request say", () => {
    const patterns = reply ? [reply.subject, reply.framesSubject, ...reply.overridePrefixes] : [];
    for (const field of patterns.flatMap(fieldsIn)) expect(fieldNamed(desc, field)?.scalar).toBe(ScalarType.STRING);
    const texts = [reply?.overrideField, rpc.orderingField].filter(Boolean);
    expect(texts.map((name) => fieldNamed(desc, name ?? "")?.scalar)).toEqual(texts.map(() => ScalarType.STRING));
    const flags = [reply?.framesField].filter(Boolean);
    expect(flags.map((name) => fieldNamed(desc, name ?? "")?.scalar)).toEqual(flags.map(() => ScalarType.BOOL));
    for (const prefix of reply?.overridePrefixes ?? []) expect(prefix.endsWith(".")).toBe(true);
  });

  test("whoever triggers it by an event reads its answer somewhere, unless there is nothing to read", () => {
    expect(reply !== undefined).toBe(events.length > 0 && desc.output !== EmptySchema);
    const hasFrames = reply !== undefined && desc.methodKind === "server_streaming";
    expect((reply?.framesSubject ?? "") !== "").toBe(hasFrames);
  });

  test("what stands in a subject can only be one token of it", () => {
    const patterns = [...events.map(({ subject }) => subject), reply?.subject ?? "", reply?.framesSubject ?? ""];
    const rules = patterns.flatMap(fieldsIn).map((name) => {
      const field = fieldNamed(desc, name);
      const found = field && getOption(field, fieldRules).type;
      return found?.case === "string" ? [name, found.value.pattern, found.value.maxLen] : [name];
    });
    expect(rules).toEqual(rules.map(([name]) => [name, "^[^\\s.*>]*$", 128n]));
  });

  test("no answer of its own comes back as a request", () => {
    for (const answer of reply ? [reply.subject, reply.framesSubject].filter(Boolean).map(filterOf) : []) {
      const triggers = bound.flatMap((other) => other.events.map(({ subject }) => filterOf(subject)));
      expect(triggers.filter((trigger) => covers(trigger, answer) || covers(answer, trigger))).toEqual([]);
    }
  });

  test("folds a stream of the same request", () => {
    if (rpc.folds === "") return;
    const source = desc.parent.methods.find(({ name }) => name === rpc.folds);
    expect(source?.methodKind).toBe("server_streaming");
    expect(source?.input).toBe(desc.input);
    expect(desc.methodKind).toBe("unary");
  });
});
