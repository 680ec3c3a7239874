// A publisher that knows only subjects and message types: nothing of the library. What it heard is kept in order of arrival.
import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { createInbox, headers, type Msg, type NatsConnection } from "@nats-io/nats-core";
import {
  EchoFrameSchema,
  EchoRequestSchema,
  EchoResponseSchema,
  type EchoFrame,
  type EchoResponse,
} from "../gen/echo/v1/echo_pb.ts";
import { until } from "../delivery/support.ts";

export interface Heard {
  readonly subject: string;
  readonly message: Msg;
  /** `performance.now()` of its arrival. */
  readonly at: number;
}

export interface Publisher {
  readonly heard: Heard[];
  /** Publishes without waiting for anything; gives the inbox that answers would go to. */
  readonly publish: (
    subject: string,
    request: MessageInitShape<typeof EchoRequestSchema>,
    given?: Readonly<Record<string, string>>,
  ) => string;
  /** Finals on a subject. */
  readonly finals: (subject: string) => EchoResponse[];
  /** Frames on a subject. */
  readonly frames: (subject: string) => EchoFrame[];
  /** Waits until the subject has at least so many messages. */
  readonly wait: (subject: string, count?: number, withinMs?: number) => Promise<void>;
}

export async function openPublisher(nc: NatsConnection, listen: readonly string[] = []): Promise<Publisher> {
  const heard: Heard[] = [];
  for (const subject of [...listen, "_INBOX.test.>"]) {
    nc.subscribe(subject, {
      callback: (error, message) => {
        if (error) throw error;
        heard.push({ subject: message.subject, message, at: performance.now() });
      },
    });
  }
  await nc.flush();
  const on = (subject: string) => heard.filter((one) => one.subject === subject).map(({ message }) => message);
  return {
    heard,
    publish(subject, request, given = {}) {
      const reply = createInbox("_INBOX.test");
      const out = headers();
      for (const [name, value] of Object.entries(given)) out.set(name, value);
      nc.publish(subject, toBinary(EchoRequestSchema, create(EchoRequestSchema, request)), { reply, headers: out });
      return reply;
    },
    finals: (subject) => on(subject).map(({ data }) => fromBinary(EchoResponseSchema, data)),
    frames: (subject) =>
      on(subject)
        .filter(({ data }) => data.length > 0)
        .map(({ data }) => fromBinary(EchoFrameSchema, data)),
    wait: (subject, count = 1, withinMs = 30_000) =>
      until(
        () => on(subject).length >= count,
        () => ({ subject, heard: heard.map((one) => one.subject).slice(-20) }),
        withinMs,
      ),
  };
}
