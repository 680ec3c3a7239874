// Rules that let a reader without headers tell messages apart by their bytes alone.
import {
  create,
  fromBinary,
  ScalarType,
  toBinary,
  type DescField,
  type DescMessage,
  type Message,
} from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { ErrorResponseSchema } from "../src/index.ts";
import { answers, messages, methods, requests } from "./roles.ts";

test("the messages of the contract by the part they play", () => {
  expect(answers.map(({ name }) => name).toSorted()).toEqual([
    "ChatResponse",
    "ChatStreamChunk",
    "GreetingResponse",
    "PipelineStatus",
    "STTInterrupt",
    "STTTranscription",
    "TTSAudioChunk",
    "TTSFullResponse",
    "TTSStatus",
    "TTSVoiceListResponse",
    "TTSVoiceRefreshResponse",
    "VoiceResponse",
  ]);
  expect(requests.map(({ name }) => name).toSorted()).toEqual([
    "ChatRequest",
    "GreetingRequest",
    "LoginEvent",
    "PipelineTrigger",
    "STTStreamMessage",
    "TTSRequest",
    "VoiceRequest",
  ]);
});

test.each(answers)("$name embeds ErrorResponse and leaves its numbers alone", (answer) => {
  const error = answer.fields.find(({ name }) => name === "error");
  expect(error?.fieldKind).toBe("message");
  expect(error?.message?.typeName).toBe(ErrorResponseSchema.typeName);
  for (const { number } of ErrorResponseSchema.fields) {
    expect(
      answer.proto.reservedRange.some(({ start, end }) => start <= number && number < end),
      `${answer.name} does not reserve ${number}`,
    ).toBe(true);
  }
});

test("no two answers share a field number", () => {
  const owners = new Map<number, string>();
  const shared: string[] = [];
  for (const answer of [ErrorResponseSchema, ...answers]) {
    for (const { number, name } of answer.fields) {
      const owner = owners.get(number);
      if (owner !== undefined) shared.push(`${number}: ${owner} and ${answer.name}.${name}`);
      owners.set(number, `${answer.name}.${name}`);
    }
  }
  expect(shared).toEqual([]);
});

test.each(methods.filter(({ methodKind }) => methodKind === "server_streaming"))(
  "frames of $name say which they are and which attempt wrote them",
  ({ output }) => {
    const kinds = Object.fromEntries(output.fields.map(({ name, scalar }) => [name, scalar]));
    expect([ScalarType.INT64, ScalarType.INT32]).toContain(kinds["sequence"]);
    expect(kinds["attempt"]).toBe(ScalarType.INT32);
    expect(kinds["timestamp"]).toBe(ScalarType.DOUBLE);
  },
);

test("no request can begin like a MessagePack map", () => {
  const bad = requests.flatMap((request) =>
    request.fields
      .filter(({ number }) => number >= 16 && number % 16 < 2)
      .map(({ name, number }) => `${request.name}.${name} = ${number}`),
  );
  expect(bad).toEqual([]);
});

test("what the rule on request numbers keeps out is exactly the first bytes of MessagePack maps", () => {
  const isMap = (byte: number) => (byte >= 0x80 && byte <= 0x8f) || byte === 0xde || byte === 0xdf;
  for (let number = 1; number <= 4096; number += 1) {
    for (const wireType of [0, 1, 2, 3, 4, 5]) {
      const tag = number * 8 + wireType;
      const first = tag < 128 ? tag : (tag % 128) + 128;
      expect(isMap(first), `field ${number}, wire type ${wireType}`).toBe(number >= 16 && number % 16 < 2);
    }
  }
});

const full = new Map<DescMessage, Message>();
for (const desc of messages) full.set(desc, create(desc, fill(desc)));

test.each(answers)("bytes of every other answer set nothing in $name", (reader) => {
  for (const writer of [ErrorResponseSchema, ...answers]) {
    if (writer === reader) continue;
    const read = fromBinary(reader, toBinary(writer, full.get(writer) ?? create(writer)));
    expect({ ...read, $unknown: undefined }, `${writer.name} read as ${reader.name}`).toEqual({
      ...create(reader),
      $unknown: undefined,
    });
  }
});

/** A value in every field, one level deep. */
function fill(desc: DescMessage): Record<string, unknown> {
  return Object.fromEntries(desc.fields.map((field) => [field.localName, value(field)]));
}

function value(field: DescField): unknown {
  if (field.fieldKind === "map") return { key: "text" };
  if (field.fieldKind === "list") return [field.listKind === "message" ? {} : "text"];
  if (field.fieldKind === "message") return field.message === ErrorResponseSchema ? { error: true } : {};
  switch (field.scalar) {
    case ScalarType.STRING:
      return "text";
    case ScalarType.BOOL:
      return true;
    case ScalarType.BYTES:
      return Uint8Array.of(1);
    case ScalarType.INT64:
      return 1n;
    default:
      return 1;
  }
}
