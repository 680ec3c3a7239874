// The wire from before protobuf: a MessagePack map with the fields by their proto names. An adapter at the edge: inside there are only
// messages.
//
// I1  What comes out can be written as protobuf: a fraction or a NaN where a whole number is due is the publisher's fault, and must not
//     come to light later as one of ours.
import {
  create,
  isMessage,
  ScalarType,
  toBinary,
  type DescField,
  type DescMessage,
  type Message,
} from "@bufbuild/protobuf";
import { decode as unpack, encode as pack } from "@msgpack/msgpack";
import { checkItems } from "./message-pack-size.ts";

const limits = {
  maxStrLength: 16_777_216,
  maxBinLength: 67_108_864,
  maxArrayLength: 65_536,
  maxMapLength: 4096,
  maxExtLength: 0,
};

/** A message from a map. Unknown keys are passed over; a value of the wrong kind throws an Error that names the field. */
export function decode(desc: DescMessage, data: Uint8Array): Message {
  checkItems(data);
  const message = fromMap(desc, unpack(data, limits), 0);
  toBinary(desc, message); // I1: throws
  return message;
}

/** A map with every field that is set, by its proto name. */
export function encode(desc: DescMessage, message: Message): Uint8Array {
  return pack(toMap(desc, message), { useBigInt64: false });
}

function fromMap(desc: DescMessage, value: unknown, depth: number): Message {
  if (depth > 32) throw new Error("nested too deep");
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error(`${desc.name} is no map`);
  const given = value as Record<string, unknown>;
  const init: Record<string, unknown> = {};
  for (const field of desc.fields) {
    const item = given[field.name] ?? given[field.jsonName];
    if (item === undefined || item === null) continue;
    init[field.localName] = readValue(field, item, depth);
  }
  return create(desc, init);
}

function readValue(field: DescField, value: unknown, depth: number): unknown {
  switch (field.fieldKind) {
    case "scalar":
      return scalar(field.scalar, value, field.name);
    case "message":
      return fromMap(field.message, value, depth + 1);
    case "enum":
      if (typeof value !== "number") throw new Error(`${field.name} is no number`);
      return value;
    case "list":
      if (!Array.isArray(value)) throw new Error(`${field.name} is no array`);
      return value.map((item: unknown) =>
        field.listKind === "message"
          ? fromMap(field.message, item, depth + 1)
          : field.listKind === "scalar"
            ? scalar(field.scalar, item, field.name)
            : item,
      );
    case "map": {
      if (typeof value !== "object" || value === null) throw new Error(`${field.name} is no map`);
      return Object.fromEntries(
        Object.entries(value).map(([key, item]: [string, unknown]) => [
          key,
          field.mapKind === "message"
            ? fromMap(field.message, item, depth + 1)
            : field.mapKind === "scalar"
              ? scalar(field.scalar, item, field.name)
              : item,
        ]),
      );
    }
    default:
      return unreachable(field);
  }
}

function scalar(type: ScalarType, value: unknown, name: string): unknown {
  switch (type) {
    case ScalarType.STRING:
      if (typeof value === "string") return value;
      break;
    case ScalarType.BOOL:
      if (typeof value === "boolean") return value;
      break;
    case ScalarType.BYTES:
      if (value instanceof Uint8Array) return value;
      break;
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      if (typeof value === "bigint") return value;
      // Older publishers send times as floats.
      if (typeof value === "number" && Number.isFinite(value)) return BigInt(Math.trunc(value));
      break;
    default:
      if (typeof value === "number") return value;
  }
  throw new Error(`${name} has a value of the wrong kind`);
}

function toMap(desc: DescMessage, message: Message): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const field of desc.fields) {
    const value = (message as unknown as Record<string, unknown>)[field.localName];
    if (value === undefined) continue;
    out[field.name] = writeValue(field, value);
  }
  return out;
}

function writeValue(field: DescField, value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (field.fieldKind === "message" && isMessage(value)) return toMap(field.message, value);
  if (field.fieldKind === "list" && field.listKind === "message") {
    return (value as Message[]).map((item) => toMap(field.message, item));
  }
  if (field.fieldKind === "map" && field.mapKind === "message") {
    return Object.fromEntries(
      Object.entries(value as Record<string, Message>).map(([key, item]) => [key, toMap(field.message, item)]),
    );
  }
  if (field.fieldKind === "list" && field.listKind === "scalar") {
    return (value as unknown[]).map((item) => (typeof item === "bigint" ? Number(item) : item));
  }
  return value;
}

function unreachable(field: never): never {
  throw new Error(`unknown kind of field ${JSON.stringify(field)}`);
}
