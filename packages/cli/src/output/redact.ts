// A message for operators' eyes: ids, kinds, numbers and sizes; what users wrote only on request.
//
// I1  What a value is, its field says, not its JSON: ProtoJSON writes 64-bit numbers, times and enum values as strings.
import { ScalarType, toJson, type DescField, type DescMessage, type JsonValue, type Message } from "@bufbuild/protobuf";

/** Texts that identify or classify and hold nothing that a user wrote. */
const plainTexts = /(^|_)(id|type|model|language|status|code|engine|collection|voice|format)$/;

/** Messages whose JSON is one string that tells a time. */
const times: readonly string[] = ["google.protobuf.Timestamp", "google.protobuf.Duration"];

/** A message as JSON by proto names. Without `content` every other text and all bytes are replaced by their length. */
export function shown(type: DescMessage, message: Message, content: boolean): JsonValue {
  const json = toJson(type, message, { useProtoFieldName: true });
  return content ? json : redact(json, type);
}

function redact(value: JsonValue, type: DescMessage): JsonValue {
  if (times.includes(type.typeName)) return value;
  if (type.typeName.startsWith("google.protobuf.") || !isObject(value)) return masked(value);
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      const field = type.fields.find(({ name }) => name === key);
      return [key, field === undefined ? masked(item) : redactField(item, field)];
    }),
  );
}

function redactField(value: JsonValue, field: DescField): JsonValue {
  if (Array.isArray(value)) {
    if (typeof value[0] === "string" && isText(field)) return `(${value.length} texts)`;
    return value.map((item) => redactOne(item, field));
  }
  if (field.fieldKind !== "map" || !isObject(value)) return redactOne(value, field);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, redactOne(item, field)]));
}

/** One value of a field: an item where the field is a list or a map. */
function redactOne(value: JsonValue, field: DescField): JsonValue {
  if (field.message !== undefined) return redact(value, field.message);
  return isText(field) && !plainTexts.test(field.name) ? masked(value) : value;
}

const isText = ({ scalar }: DescField) => scalar === ScalarType.STRING || scalar === ScalarType.BYTES;

/** JSON of no known type: texts by their lengths. */
function masked(value: JsonValue): JsonValue {
  if (typeof value === "string") return `(${value.length} characters)`;
  if (Array.isArray(value)) return value.map(masked);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, masked(item)]));
}

const isObject = (value: JsonValue): value is { [key: string]: JsonValue } =>
  typeof value === "object" && value !== null && !Array.isArray(value);
