// Headers of messages that strangers may have published, read only where reading them is possible and cheap.
//
// I1  A block of more than 16 KiB counts as none. The client library's reader takes time with the square of the number of names: 64 000
//     names in 400 kB stop everything else in the process for half a minute.
// I2  Headers that the client library refuses count as none: a payload without any is always enough.
import type { StoredMsg } from "@nats-io/jetstream";
import type { Msg, MsgHdrs } from "@nats-io/nats-core";
import { MsgImpl } from "@nats-io/nats-core/internal";

/** Two of the largest `baggage` headers that W3C asks for, and no more than 3300 names. */
const largestBlock = 16_384;

/** Headers of a message; undefined where it has none that can be read. */
export function headersOf(message: Msg): MsgHdrs | undefined {
  return read(message instanceof MsgImpl ? blockLength(message) : 0, () => message.headers);
}

/** Headers of a message as its stream holds it; undefined where it has none that can be read. */
export function storedHeadersOf(message: StoredMsg): MsgHdrs | undefined {
  return read(encodedLength(message) * 0.75, () => message.header);
}

function read(bytes: number, headers: () => MsgHdrs | undefined): MsgHdrs | undefined {
  if (bytes > largestBlock) return undefined; // I1
  try {
    return headers();
  } catch {
    return undefined; // I2: names that the client library refuses; nothing of ours is among them
  }
}

/** What is neither subject, reply nor body: the client library tells the size of a block nowhere else without reading it. */
function blockLength(message: MsgImpl): number {
  const { subject, reply, data } = message;
  return message.size() - Buffer.byteLength(subject) - Buffer.byteLength(reply) - data.length;
}

/** Characters of base64 in the server's answer that the message was made from. */
function encodedLength(message: object): number {
  const answer: unknown = "smr" in message ? message.smr : undefined;
  const stored: unknown = isObject(answer) && "message" in answer ? answer.message : undefined;
  const block: unknown = isObject(stored) && "hdrs" in stored ? stored.hdrs : undefined;
  return typeof block === "string" ? block.length : 0;
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
