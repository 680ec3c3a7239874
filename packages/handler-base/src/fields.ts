// Fields of a message by their names in the proto, for what the contract names by field: ids, ordering, sequence and attempt.
import { ScalarType, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";

const known = new WeakMap<DescMessage, Map<string, DescField>>();

/** The field with this proto name, or undefined. */
export function fieldNamed(desc: DescMessage, name: string): DescField | undefined {
  let fields = known.get(desc);
  if (fields === undefined) {
    fields = new Map(desc.fields.map((field) => [field.name, field]));
    known.set(desc, fields);
  }
  return fields.get(name);
}

/** Value of a field; undefined where the type has no such field. */
export function readField(desc: DescMessage, message: Message, name: string): unknown {
  const field = fieldNamed(desc, name);
  return field && (message as unknown as Record<string, unknown>)[field.localName];
}

/** Text of a string field; empty where the type has no such field. */
export function readText(desc: DescMessage, message: Message, name: string): string {
  const value = readField(desc, message, name);
  return typeof value === "string" ? value : "";
}

/** Sets a field, where the type has it. The value must be of the field's type. */
export function writeField(desc: DescMessage, message: Message, name: string, value: unknown): void {
  const field = fieldNamed(desc, name);
  if (field) (message as unknown as Record<string, unknown>)[field.localName] = value;
}

const longScalars: ReadonlySet<ScalarType> = new Set([
  ScalarType.INT64,
  ScalarType.UINT64,
  ScalarType.SINT64,
  ScalarType.FIXED64,
  ScalarType.SFIXED64,
]);

/** Sets a whole-number field of either size, where the type has it. */
export function writeNumber(desc: DescMessage, message: Message, name: string, value: number): void {
  const field = fieldNamed(desc, name);
  if (field?.fieldKind !== "scalar") return;
  writeField(desc, message, name, longScalars.has(field.scalar) ? BigInt(value) : value);
}
