// Fields of messages for documents: their types and their limits in words.
import { getOption, hasOption, ScalarType, toJson, type DescField, type DescMessage } from "@bufbuild/protobuf";
import { FieldRulesSchema, field as fieldRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { commentOf } from "./contract.ts";
import { cell, code, link, table } from "./markdown.ts";

/** A section with the table of a message's fields. */
export function messageSection(message: DescMessage): string {
  const limited = message.fields.some((field) => hasOption(field, fieldRules));
  const rows = message.fields.map((field) => [
    String(field.number),
    code(field.name),
    typeOf(field),
    cell(commentOf(field)),
    ...(limited ? [cell(limitsOf(field).join(", "))] : []),
  ]);
  const head = ["number", "field", "type", "meaning", ...(limited ? ["limits"] : [])];
  return `### ${message.name}\n\n${commentOf(message)}\n\n${table(head, rows)}`;
}

/** Name of a scalar type as .proto files spell it. */
const scalarName = (type: ScalarType) => ScalarType[type].toLowerCase();

function typeOf(field: DescField): string {
  const single = field.message
    ? link(field.message.name)
    : (field.enum?.name ?? scalarName(field.scalar ?? ScalarType.STRING));
  switch (field.fieldKind) {
    case "list":
      return `repeated ${single}`;
    case "map":
      return `map of ${scalarName(field.mapKey)} to ${single}`;
    default:
      return field.proto.proto3Optional ? `optional ${single}` : single;
  }
}

/** What one of our patterns demands, in words. */
const patterns: Readonly<Record<string, string>> = {
  "^[^\\s.*>]*$": "one token of a subject: no dot, space, `*` or `>`",
  "^[A-Za-z0-9_-]*$": "letters, digits, `_` and `-`",
};

/** Limits of a field in words. Throws an Error on a rule that it has no words for. */
export function limitsOf(field: DescField): string[] {
  if (!hasOption(field, fieldRules)) return [];
  const rules = toJson(FieldRulesSchema, getOption(field, fieldRules), { useProtoFieldName: true });
  return Object.entries(rules as Record<string, Record<string, unknown>>).flatMap(([kind, given]) =>
    Object.entries(given).map(([rule, value]) => words(kind, rule, String(value), field)),
  );
}

function words(kind: string, rule: string, value: string, field: DescField): string {
  const unit = kind === "bytes" ? "bytes" : "characters";
  switch (rule) {
    case "min_len":
      return value === "1" ? "not empty" : `at least ${value} ${unit}`;
    case "max_len":
      return `at most ${value} ${unit}`;
    case "gte":
      return `${value} or more`;
    case "lte":
      return `${value} or less`;
    case "max_pairs":
      return `at most ${value} entries`;
    case "pattern":
      return patterns[value] ?? `matches \`${value}\``;
    default:
      throw new Error(`${field.toString()} has the rule ${kind}.${rule}: say in tools/wire/fields.ts what it means`);
  }
}
