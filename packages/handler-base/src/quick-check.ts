// Tells without the validator that a message is surely valid: the rules that nearly every field has (lengths, ranges, one class of
// characters), as plain functions. The validator costs more than the rest of a call together; it speaks only where this stays silent.
//
// I1  What is called valid here is valid for the validator. The other way round need not hold: in doubt the answer is no.
// I2  A type with a rule that is not understood here has no quick check at all.
import { getOption, hasOption, isFieldSet, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import {
  FieldRulesSchema,
  field as fieldRules,
  message as messageRules,
  oneof as oneofRules,
  type FieldRules,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

/** True = surely valid. */
export type QuickCheck = (message: Message) => boolean;

type ValueCheck = (value: unknown) => boolean;

const compiled = new WeakMap<DescMessage, QuickCheck | undefined>();

/** The check of a type; undefined where one of its rules is not understood. */
export function quickCheckOf(desc: DescMessage): QuickCheck | undefined {
  if (compiled.has(desc)) return compiled.get(desc);
  compiled.set(desc, undefined); // a type that holds itself has none
  const check = compile(desc);
  compiled.set(desc, check);
  return check;
}

function compile(desc: DescMessage): QuickCheck | undefined {
  if (hasOption(desc, messageRules) || desc.oneofs.some((each) => hasOption(each, oneofRules))) return undefined;
  const checks: { readonly name: string; readonly check: ValueCheck }[] = [];
  for (const field of desc.fields) {
    const check = checkOfField(field);
    if (check === undefined) return undefined;
    if (check === always) continue;
    if (field.oneof !== undefined) return undefined;
    checks.push({ name: field.localName, check });
  }
  return (message) => {
    const values = message as unknown as Readonly<Record<string, unknown>>;
    for (const { name, check } of checks) if (!check(values[name])) return false;
    return true;
  };
}

const always: ValueCheck = () => true;

function checkOfField(field: DescField): ValueCheck | undefined {
  const nested = field.message === undefined ? always : nestedCheck(field);
  if (!hasOption(field, fieldRules)) return nested;
  const rules = getOption(field, fieldRules);
  // Besides the rules of its type, nothing may be asked of the field.
  if (nested !== always || !onlyType(rules)) return undefined;
  const { type } = rules;
  switch (type.case) {
    case "string": {
      const { maxLen, pattern } = type.value;
      if (!onlyThese(type.value, ["max_len", "pattern"])) return undefined;
      const shape = pattern === "" ? undefined : shapeOf(pattern);
      if (pattern !== "" && shape === undefined) return undefined;
      // A text has at most as many code points as code units.
      const most = setIn(type.value, "max_len") ? Number(maxLen) : Number.POSITIVE_INFINITY;
      return (value) => typeof value === "string" && value.length <= most && (shape === undefined || shape.test(value));
    }
    case "int32":
    case "uint32":
    case "double":
    case "float": {
      if (!onlyThese(type.value, ["gte", "lte"])) return undefined;
      const { greaterThan, lessThan } = type.value;
      const least = greaterThan.case === "gte" ? greaterThan.value : Number.NEGATIVE_INFINITY;
      const most = lessThan.case === "lte" ? lessThan.value : Number.POSITIVE_INFINITY;
      return least > most
        ? undefined
        : (value) => value === undefined || (typeof value === "number" && value >= least && value <= most);
    }
    default:
      return undefined;
  }
}

function nestedCheck(field: DescField): ValueCheck | undefined {
  const check = field.message && quickCheckOf(field.message);
  if (check === undefined) return undefined;
  const inner = (value: unknown) => value === undefined || check(value as Message);
  switch (field.fieldKind) {
    case "message":
      return inner;
    case "list":
      return (value) => Array.isArray(value) && value.every(inner);
    default:
      return (value) => typeof value === "object" && value !== null && Object.values(value).every(inner);
  }
}

/** One class of characters, repeated: there RE2 and JavaScript agree, or JavaScript is the stricter one (its `\s` holds more). */
function shapeOf(pattern: string): RegExp | undefined {
  return /^\^\[(?:\^(?:\\s|[\w.*>-])+|[\w-]+)\][*+]\$$/.test(pattern) ? new RegExp(pattern, "u") : undefined;
}

const onlyType = (rules: FieldRules): boolean =>
  FieldRulesSchema.fields.every((each) => each.oneof?.localName === "type" || !isFieldSet(rules, each));

const setIn = (rules: Message, name: string): boolean => {
  const reflected = reflect(descOf(rules), rules);
  const field = reflected.fields.find((each) => each.name === name);
  return field !== undefined && reflected.isSet(field);
};

const onlyThese = (rules: Message, names: readonly string[]): boolean => {
  const reflected = reflect(descOf(rules), rules);
  return reflected.fields.every((each) => names.includes(each.name) || !reflected.isSet(each));
};

function descOf(rules: Message): DescMessage {
  const found = FieldRulesSchema.fields.find((each) => each.message?.typeName === rules.$typeName)?.message;
  if (found === undefined) throw new Error(`${rules.$typeName} are no rules of a field`);
  return found;
}
