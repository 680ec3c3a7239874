// A message for operators' eyes: ids, kinds, numbers and sizes; what users wrote only on request.
import { toJson, type DescMessage, type JsonValue, type Message } from "@bufbuild/protobuf";

/** Texts that identify or classify and hold nothing that a user wrote. */
const plainTexts = /(^|_)(id|type|model|language|status|code|engine|collection|voice|format)$/;

/** A message as JSON by proto names. Without `content` every other text and all bytes are replaced by their length. */
export function shown(type: DescMessage, message: Message, content: boolean): JsonValue {
  const json = toJson(type, message, { useProtoFieldName: true });
  return content ? json : redact(json, "");
}

function redact(value: JsonValue, name: string): JsonValue {
  if (typeof value === "string") return plainTexts.test(name) ? value : `(${value.length} characters)`;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value))
    return value.length > 0 && typeof value[0] === "string"
      ? `(${value.length} texts)`
      : value.map((item) => redact(item, name));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, redact(item, key)]));
}
