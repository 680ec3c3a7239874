// A bundler plugin that has services start with a smaller description of protovalidate's rules: without the expressions that say how each
// rule is checked, which are most of it. Only the validator evaluates them, and that is a chunk of its own, loaded when it is needed.
//
// I1  The validator's own imports get the whole description; everybody else only reads which rules a field has.
import { readFileSync } from "node:fs";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { base64Decode, base64Encode } from "@bufbuild/protobuf/wire";
import { FileDescriptorProtoSchema, type DescriptorProto, type FieldDescriptorProto } from "@bufbuild/protobuf/wkt";
import type { Plugin } from "rolldown";

const wanted = "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
const prefix = "\0slim-rules:";

export function slimRules(): Plugin {
  return {
    name: "slim-rules",
    async resolveId(id, importer) {
      if (id !== wanted || importer?.replaceAll("\\", "/").includes("/node_modules/@bufbuild/protovalidate/"))
        return null; // I1
      const found = await this.resolve(id, importer);
      return found === null ? null : `${prefix}${found.id}`;
    },
    load(id) {
      if (!id.startsWith(prefix)) return null;
      const source = readFileSync(id.slice(prefix.length), "utf8");
      const described = /fileDesc\("([\w+/=]+)"/;
      if (!described.test(source)) throw new Error(`${wanted} describes its file in another way than before`);
      const code = source.replace(described, (_, text: string) => `fileDesc("${slim(text)}"`);
      return { code, moduleSideEffects: false };
    },
  };
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
