// The contract at three ages: as it was frozen last, before that, and as it may become. Programs of all of them meet on the wire.
import { readFileSync } from "node:fs";
import {
  clone,
  create,
  createFileRegistry,
  fromBinary,
  ScalarType,
  type DescField,
  type DescMessage,
  type FileRegistry,
  type Message,
} from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FieldDescriptorProtoSchema,
  FileDescriptorSetSchema,
  type DescriptorProto,
} from "@bufbuild/protobuf/wkt";

const frozen = fromBinary(
  FileDescriptorSetSchema,
  readFileSync(new URL("../../../proto/frozen.binpb", import.meta.url)),
);

export const newField = "from_tomorrow";

export const ages: Readonly<Record<"frozen" | "older" | "newer", FileRegistry>> = {
  frozen: createFileRegistry(frozen),
  /** Every message that had more than three fields lacks its latest one. */
  older: changed((message) => {
    if (message.field.length > 3) message.field.splice(-1);
  }),
  /** Every message has a field more. */
  newer: changed((message) => {
    message.field.push(
      create(FieldDescriptorProtoSchema, {
        name: newField,
        jsonName: "fromTomorrow",
        number: 5001,
        type: Type.STRING,
        label: Label.OPTIONAL,
      }),
    );
  }),
};

function changed(change: (message: DescriptorProto) => void): FileRegistry {
  const set = clone(FileDescriptorSetSchema, frozen);
  for (const file of set.file) if (file.package === "messages.v1") for (const one of file.messageType) change(one);
  return createFileRegistry(set);
}

/** A message type of package messages.v1 at some age. Throws where there is none. */
export function typeAt(age: FileRegistry, name: string): DescMessage {
  const found = age.getMessage(`messages.v1.${name}`);
  if (found === undefined) throw new Error(`there is no message ${name}`);
  return found;
}

/** Names of all messages of the frozen contract. */
export const names: readonly string[] = [...ages.frozen.files]
  .filter((file) => file.proto.package === "messages.v1")
  .flatMap((file) => file.messages.map(({ name }) => name));

/** A message with a value in every field, two levels deep. */
export function full(desc: DescMessage, depth = 0): Message {
  const init = desc.fields.map((field) => [field.localName, valueOf(field, depth)]);
  return create(desc, Object.fromEntries(init) as Record<string, unknown>);
}

function valueOf(field: DescField, depth: number): unknown {
  const single = field.message ? (depth < 2 ? full(field.message, depth + 1) : undefined) : scalarOf(field);
  if (field.fieldKind === "list") return single === undefined ? [] : [single, single];
  return field.fieldKind === "map" ? { one: single, two: single } : single;
}

function scalarOf(field: DescField): unknown {
  switch (field.scalar) {
    case ScalarType.STRING:
      return `text of ${field.name}`;
    case ScalarType.BOOL:
      return true;
    case ScalarType.BYTES:
      return Uint8Array.of(1, 2, 3);
    case ScalarType.INT64:
      return BigInt(field.number);
    default:
      return field.number;
  }
}
