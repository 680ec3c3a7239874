// A bundler plugin that gives everybody no more of the description of protovalidate's rules than they read: it is large, and decoding it
// takes as long as decoding all contracts.
//
// I1  The validator gets the whole description.
// I2  Generated code only names the file among those that it imports, and gets a file without content. What its options say about rules
//     stays with them, undecoded.
// I3  Everybody else reads which rules a field has, and gets the description without the expressions that say how each rule is checked.
import { readFileSync } from "node:fs";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { base64Decode, base64Encode } from "@bufbuild/protobuf/wire";
import { FileDescriptorProtoSchema, type DescriptorProto, type FieldDescriptorProto } from "@bufbuild/protobuf/wkt";
import type { Plugin } from "rolldown";

const wanted = "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
const prefixes = { empty: "\0no-rules:", slim: "\0slim-rules:" } as const;

export function slimRules(): Plugin {
  return {
    name: "slim-rules",
    async resolveId(id, importer) {
      if (id !== wanted || importer === undefined) return null;
      if (importer.replaceAll("\\", "/").includes("/node_modules/@bufbuild/protovalidate/")) return null; // I1
      const found = await this.resolve(id, importer);
      if (found === null) return null;
      return `${importer.endsWith("_pb.ts") ? prefixes.empty : prefixes.slim}${found.id}`;
    },
    load(id) {
      const prefix = Object.values(prefixes).find((each) => id.startsWith(each));
      if (prefix === undefined) return null;
      const source = readFileSync(id.slice(prefix.length), "utf8");
      const [described, text = ""] = /fileDesc\("([\w+/=]+)"/.exec(source) ?? [];
      if (described === undefined) throw new Error(`${wanted} describes its file in another way than before`);
      const code =
        prefix === prefixes.empty
          ? `import { fileDesc } from "@bufbuild/protobuf/codegenv2";
             export const file_buf_validate_validate = /*@__PURE__*/ fileDesc("${empty(text)}");`
          : source.replace(described, `fileDesc("${slim(text)}"`);
      return { code, moduleSideEffects: false };
    },
  };
}

/** The same file with nothing in it. */
function empty(text: string): string {
  const { name, package: of, syntax } = fromBinary(FileDescriptorProtoSchema, base64Decode(text));
  const file = create(FileDescriptorProtoSchema, { name, package: of, syntax });
  return base64Encode(toBinary(FileDescriptorProtoSchema, file), "std_raw");
}

function slim(text: string): string {
  const file = fromBinary(FileDescriptorProtoSchema, base64Decode(text));
  dropExpressions(file.extension);
  for (const message of file.messageType) slimMessage(message);
  return base64Encode(toBinary(FileDescriptorProtoSchema, file), "std_raw");
}

function slimMessage(message: DescriptorProto): void {
  dropExpressions(message.field);
  dropExpressions(message.extension);
  for (const nested of message.nestedType) slimMessage(nested);
}

/** They are extensions of the fields' options: unknown to the schema of options, so that what it knows is kept. */
function dropExpressions(fields: readonly FieldDescriptorProto[]): void {
  for (const field of fields) {
    if (field.options === undefined) continue;
    field.options.$unknown = [];
  }
}
