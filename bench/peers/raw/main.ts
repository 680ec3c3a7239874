// The raw peer of the bench: the same work over @nats-io and protobuf-es with nothing around it. MODE as in ../go/main.go; a publish also
// takes VARIANT: `client` = the JetStream client, `own` = the library's publisher.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { jetstream, type JsMsg } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import { createPublisher } from "../../../packages/handler-base/src/publisher.ts";
import { EchoRequestSchema, EchoResponseSchema } from "../../../packages/handler-base/test/gen/echo/v1/echo_pb.ts";
import { variable } from "../../support/variable.ts";

function answer(data: Uint8Array): { readonly id: string; readonly body: Uint8Array } {
  const request = fromBinary(EchoRequestSchema, data);
  const { requestId, text, data: bytes } = request;
  const response = create(EchoResponseSchema, { requestId, text, data: bytes, attempt: 1 });
  return { id: requestId, body: toBinary(EchoResponseSchema, response) };
}

function serveEcho(nc: NatsConnection): void {
  nc.subscribe(variable("SUBJECT"), {
    queue: "q",
    callback: (error, message) => {
      if (error) throw error;
      message.respond(answer(message.data).body);
    },
  });
}

async function consume(nc: NatsConnection): Promise<void> {
  const consumer = await jetstream(nc).consumers.get(variable("STREAM"), variable("DURABLE"));
  const replies = variable("REPLIES");
  await consumer.consume({
    max_messages: Number(variable("IN_FLIGHT")),
    callback: (message: JsMsg) => {
      const { id, body } = answer(message.data);
      nc.publish(`${replies}.${id}`, body);
      message.ack();
    },
  });
}

async function publish(nc: NatsConnection): Promise<void> {
  const [subject, body, count] = [
    variable("SUBJECT"),
    new Uint8Array(Number(variable("SIZE"))),
    Number(variable("COUNT")),
  ];
  const publisher = createPublisher(nc);
  const js = jetstream(nc);
  const one =
    variable("VARIANT") === "own"
      ? () => publisher.publish(subject, body, { timeoutMs: 10_000 })
      : () => js.publish(subject, body, { timeout: 10_000 });
  let left = count;
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      await one();
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: 256 }, worker));
  console.log(JSON.stringify({ seconds: (performance.now() - start) / 1000 }));
}

const nc = await connect({ servers: variable("NATS_URL"), name: "raw-peer", noAsyncTraces: true });
switch (variable("MODE")) {
  case "echo":
    serveEcho(nc);
    break;
  case "consume":
    await consume(nc);
    break;
  case "publish":
    await publish(nc);
    await nc.close();
    break;
  default:
    throw new Error("MODE is echo, consume or publish");
}
if (!nc.isClosed()) {
  await nc.flush();
  console.log("ready");
  process.once("SIGTERM", () => void nc.drain());
}
