// NATS written by hand: what a hostile publisher can send that no client library would.
import { once } from "node:events";
import { connect } from "node:net";
import type { NatsFixture } from "@pipeline/testkit";

export interface Raw extends Disposable {
  /** Publishes; header block and subjects go out as they are. */
  readonly publish: (subject: string, message: { reply?: string; head?: string; body?: Uint8Array }) => void;
  /** What the server has said so far. */
  readonly said: () => string;
}

export async function openRaw(port: number): Promise<Raw> {
  const socket = connect(port, "127.0.0.1");
  let said = "";
  socket.on("error", () => undefined);
  socket.on("data", (data: Buffer) => {
    said = (said + data.toString("latin1")).slice(-65_536);
    if (data.includes("PING")) socket.write("PONG\r\n");
  });
  await once(socket, "connect");
  socket.write('CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"protocol":1}\r\n');
  return {
    said: () => said,
    publish(subject, { reply = "", head, body = new Uint8Array() }) {
      const to = reply === "" ? subject : `${subject} ${reply}`;
      const block = Buffer.from(head ?? "");
      const sizes = head === undefined ? `${body.length}` : `${block.length} ${block.length + body.length}`;
      const verb = head === undefined ? "PUB" : "HPUB";
      socket.write(Buffer.concat([Buffer.from(`${verb} ${to} ${sizes}\r\n`), block, body, Buffer.from("\r\n")]));
    },
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

/** A header block of these lines. */
export const block = (...lines: readonly string[]) => `NATS/1.0\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`;

interface Connection {
  /** As the client gave it. */
  readonly name?: string;
  readonly subscriptions: number;
  /** Why it was closed. */
  readonly reason?: string;
}

/** Connections as the server's monitoring tells them. */
export async function connections({ monitorUrl }: NatsFixture, state = "open"): Promise<readonly Connection[]> {
  const answer = (await (await fetch(`${monitorUrl}/connz?state=${state}`)).json()) as { connections: Connection[] };
  return answer.connections;
}
