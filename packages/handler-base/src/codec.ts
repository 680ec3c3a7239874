// Content types of requests and answers: protobuf, ProtoJSON, and MessagePack as an adapter for publishers from before protobuf.
import {
  fromBinary,
  fromJson,
  toBinary,
  toJson,
  type DescMessage,
  type JsonValue,
  type Message,
} from "@bufbuild/protobuf";
import { HandlerError } from "./error.ts";

export type ContentType = "application/x-protobuf" | "application/json" | "application/msgpack";

const aliases: Readonly<Record<string, ContentType>> = {
  "application/x-protobuf": "application/x-protobuf",
  "application/protobuf": "application/x-protobuf",
  "application/octet-stream": "application/x-protobuf",
  "application/json": "application/json",
  "application/msgpack": "application/msgpack",
  "application/x-msgpack": "application/msgpack",
};

/**
 * Content type of a request. Publishers from before protobuf send no header: a first byte of 0x80 to 0x8f, 0xde or 0xdf is a
 * MessagePack map and can start no request of this contract (docs/wire.md). Throws `invalid_argument` on an unknown type.
 */
export function contentTypeOf(header: string | undefined, data: Uint8Array): ContentType {
  if (header === undefined || header === "") {
    const first = data[0] ?? 0;
    return (first >= 0x80 && first <= 0x8f) || first === 0xde || first === 0xdf
      ? "application/msgpack"
      : "application/x-protobuf";
  }
  const type = aliases[(header.split(";")[0] ?? "").trim().toLowerCase()];
  if (type === undefined) {
    throw new HandlerError(
      "header Content-Type names no known type: use application/x-protobuf, application/json or application/msgpack",
      "invalid_argument",
    );
  }
  return type;
}

/** A message from its bytes. Throws `invalid_argument` that names the type and what is wrong, never the content. */
export function decode(desc: DescMessage, data: Uint8Array, type: ContentType): Message {
  try {
    switch (type) {
      case "application/x-protobuf":
        return fromBinary(desc, data);
      case "application/json":
        return fromJson(desc, JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data)) as JsonValue, {
          ignoreUnknownFields: true,
        });
      case "application/msgpack":
        return messagePack().decode(desc, data);
      default:
        return unreachable(type);
    }
  } catch (cause) {
    if (cause instanceof HandlerError) throw cause;
    throw new HandlerError(`the payload is no valid ${desc.typeName} in ${type}`, "invalid_argument", { cause });
  }
}

/** Bytes of a message. */
export function encode(desc: DescMessage, message: Message, type: ContentType): Uint8Array {
  switch (type) {
    case "application/x-protobuf":
      return toBinary(desc, message);
    case "application/json":
      return new TextEncoder().encode(JSON.stringify(toJson(desc, message, { useProtoFieldName: true })));
    case "application/msgpack":
      return messagePack().encode(desc, message);
    default:
      return unreachable(type);
  }
}

interface MessagePackAdapter {
  decode: (desc: DescMessage, data: Uint8Array) => Message;
  encode: (desc: DescMessage, message: Message) => Uint8Array;
}
let adapter: MessagePackAdapter | undefined;

function messagePack(): MessagePackAdapter {
  if (adapter === undefined) {
    throw new HandlerError("MessagePack is still being loaded; send the message again", "unavailable", {
      retryAfterMs: 100,
    });
  }
  return adapter;
}

/** Loads the MessagePack adapter: after readiness, so that start-up does not pay for it. Idempotent. */
export async function loadMessagePack(): Promise<void> {
  adapter ??= await import("./message-pack.ts");
}

function unreachable(type: never): never {
  throw new Error(`unknown content type ${String(type)}`);
}
