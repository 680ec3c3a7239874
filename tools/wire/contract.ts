// The contract as the documents see it: descriptors with their comments, and bindings as the library reads them.
import { execFileSync } from "node:child_process";
import {
  createFileRegistry,
  fromBinary,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescMethod,
  type DescService,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { readContract, type MethodContract, type ServiceContract } from "../../packages/handler-base/src/contract.ts";
import { installation } from "../../packages/handler-base/src/names.ts";

export interface Rpc {
  readonly contract: MethodContract;
  /** `ChatService.Chat` */
  readonly name: string;
  readonly streaming: boolean;
  /** Type of the one final answer on the event way: that of the rpc that folds the stream, or its own. */
  readonly final: DescMessage | undefined;
  /** Rpc of the same service that folds this one's stream. */
  readonly foldedBy: string | undefined;
}

export interface Contract {
  readonly services: readonly { readonly contract: ServiceContract; readonly rpcs: readonly Rpc[] }[];
  readonly messages: readonly DescMessage[];
}

/** Reads proto/ as it is now. Throws where buf fails, which has said why. */
export function readProto(): Contract {
  const args = ["build", "--path", "proto/messages", "--path", "proto/handler", "--as-file-descriptor-set", "-o", "-"];
  const image = execFileSync("buf", args, { stdio: ["ignore", "pipe", "inherit"], maxBuffer: 64 * 1024 * 1024 });
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
  const files = [...registry.files]
    .filter((file) => file.proto.package === "messages.v1")
    .toSorted((a, b) => order(a) - order(b));
  return {
    services: files.flatMap((file) => file.services.map(readService)),
    messages: files.flatMap((file) => file.messages),
  };
}

/** Chat first, errors last; the rest by name. */
const order = ({ name }: DescFile) => ["chat", "voice", "stt", "tts", "pipeline", "errors"].indexOf(name.slice(12));

function readService(desc: DescService) {
  const contract = readContract(desc, installation(""));
  const rpcs = contract.methods.map((method): Rpc => {
    const folding = contract.methods.find(({ folds }) => folds === method.desc.name);
    const streaming = method.desc.methodKind === "server_streaming";
    return {
      contract: method,
      name: `${desc.name}.${method.desc.name}`,
      streaming,
      final: method.reply && (folding ? folding.desc.output : streaming ? undefined : method.desc.output),
      foldedBy: folding && `${desc.name}.${folding.desc.name}`,
    };
  });
  return { contract, rpcs };
}

const comments = new WeakMap<DescFile, ReadonlyMap<string, string>>();

/** The comment above a declaration in proto/, as one line. Throws an Error where there is none: every declaration has one. */
export function commentOf(desc: DescMessage | DescField | DescService | DescMethod): string {
  const file = desc.kind === "field" || desc.kind === "rpc" ? desc.parent.file : desc.file;
  let known = comments.get(file);
  if (known === undefined) {
    known = new Map(
      file.proto.sourceCodeInfo?.location.map(({ path, leadingComments }) => [path.join("."), leadingComments]),
    );
    comments.set(file, known);
  }
  const text = known.get(pathOf(desc).join("."))?.trim().replaceAll(/\s+/g, " ");
  if (!text) throw new Error(`${desc.toString()} has no comment`);
  return text;
}

/** Numbers of the fields of FileDescriptorProto and below that lead to a declaration. */
function pathOf(desc: DescMessage | DescField | DescService | DescMethod): number[] {
  if (desc.kind === "message") return [4, desc.file.proto.messageType.indexOf(desc.proto)];
  if (desc.kind === "service") return [6, desc.file.proto.service.indexOf(desc.proto)];
  if (desc.kind === "field") return [...pathOf(desc.parent), 2, desc.parent.proto.field.indexOf(desc.proto)];
  return [...pathOf(desc.parent), 2, desc.parent.proto.method.indexOf(desc.proto)];
}
