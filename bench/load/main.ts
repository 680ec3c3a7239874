// The load: a process of its own that asks as its one argument (JSON) says and prints one JSON line of what it saw. It speaks bare
// protobuf over the raw client, as any publisher would.
import { Agent, request } from "node:http";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { createInbox, headers, type Msg, type NatsConnection } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import { EchoFrameSchema, EchoRequestSchema } from "../../packages/handler-base/test/gen/echo/v1/echo_pb.ts";
import { createPublisher } from "../../packages/handler-base/src/publisher.ts";
import { variable } from "../support/variable.ts";
import type { Load, Seen } from "./kinds.ts";

const load = JSON.parse(process.argv[2] ?? "") as Load;
const nc = await connect({ servers: variable("NATS_URL"), noAsyncTraces: true });
const seen = await run(nc, load);
console.log(JSON.stringify(seen));
await nc.close();

function run(connection: NatsConnection, asked: Load): Promise<Seen> {
  switch (asked.kind) {
    case "closed":
      return closed(connection, asked);
    case "open":
      return paced(connection, asked);
    case "fill":
      return fill(connection, asked);
    case "drain":
      return drain(connection, asked);
    case "streams":
      return streams(connection, asked);
    case "direct":
      return direct(asked);
    default:
      throw new Error("unknown kind of load");
  }
}

function payload({ size, bytes }: { size: number; bytes: boolean }, requestId = ""): Uint8Array {
  const body = bytes
    ? { data: new Uint8Array(size).fill(7) }
    : { text: "chat ".repeat(Math.ceil(size / 5)).slice(0, size) };
  return toBinary(
    EchoRequestSchema,
    create(EchoRequestSchema, { requestId, userId: "user-1", sessionId: "session-1", ...body }),
  );
}

/** Headers as a caller inside a trace sends them. */
function callHeaders() {
  const out = headers();
  out.set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
  out.set("Handler-Deadline-Ms", "30000");
  return out;
}

/** Answers that came, by the number at the end of their inbox. */
function answers(connection: NatsConnection, onAnswer: (number: number, message: Msg) => void): string {
  const inbox = createInbox();
  connection.subscribe(`${inbox}.*`, {
    callback: (error, message) => {
      if (error) throw error;
      if (message.headers?.hasError || message.headers?.has("Nats-Service-Error")) {
        throw new Error(
          `a request failed: ${message.headers.get("Nats-Service-Error") || String(message.headers.code)}`,
        );
      }
      onAnswer(Number(message.subject.slice(inbox.length + 1)), message);
    },
  });
  return inbox;
}

/** A fixed number of requests in flight for some seconds. */
async function closed(connection: NatsConnection, asked: Extract<Load, { kind: "closed" }>): Promise<Seen> {
  const body = payload(asked);
  const begun = new Float64Array(asked.inFlight);
  const times: number[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const until = performance.now() + asked.seconds * 1000;
  let running = asked.inFlight;
  const out = { headers: callHeaders() };
  const ask = (slot: number) => {
    begun[slot] = performance.now();
    connection.publish(asked.subject, body, { reply: `${inbox}.${slot}`, ...out });
  };
  const inbox = answers(connection, (slot) => {
    const now = performance.now();
    times.push(now - (begun[slot] ?? now));
    if (now < until) ask(slot);
    else if ((running -= 1) === 0) resolve();
  });
  const start = performance.now();
  for (let slot = 0; slot < asked.inFlight; slot += 1) ask(slot);
  await promise;
  return summary(times, (performance.now() - start) / 1000);
}

/** Requests at a fixed rate, whatever comes back. */
async function paced(connection: NatsConnection, asked: Extract<Load, { kind: "open" }>): Promise<Seen> {
  const body = payload(asked);
  const total = Math.round(asked.rate * asked.seconds);
  const begun = new Float64Array(total);
  const times: number[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const out = { headers: callHeaders() };
  const inbox = answers(connection, (number) => {
    times.push(performance.now() - (begun[number] ?? 0));
    if (times.length === total) resolve();
  });
  const start = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    const due = Math.min(total, Math.floor(((performance.now() - start) / 1000) * asked.rate));
    for (; sent < due; sent += 1) {
      begun[sent] = performance.now();
      connection.publish(asked.subject, body, { reply: `${inbox}.${sent}`, ...out });
    }
    if (sent === total) clearInterval(timer);
  }, 1);
  await promise;
  return summary(times, (performance.now() - start) / 1000);
}

/** Messages into a stream, each with an id of its own. */
async function fill(connection: NatsConnection, asked: Extract<Load, { kind: "fill" }>): Promise<Seen> {
  const publisher = createPublisher(connection);
  let sent = 0;
  const start = performance.now();
  const worker = async () => {
    while (sent < asked.count) {
      sent += 1;
      await publisher.publish(asked.subject, payload(asked, `r${sent}`), { timeoutMs: 30_000 });
    }
  };
  await Promise.all(Array.from({ length: 128 }, worker));
  return { count: sent, seconds: (performance.now() - start) / 1000, p50: 0, p99: 0 };
}

/** Answers that arrive on a subject: how long the middle nine tenths of them took. Says `listening` first. */
async function drain(connection: NatsConnection, asked: Extract<Load, { kind: "drain" }>): Promise<Seen> {
  let count = 0;
  let begun = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  connection.subscribe(asked.subject, {
    callback: () => {
      count += 1;
      if (count === asked.count / 10) begun = performance.now();
      if (count === asked.count) resolve();
    },
  });
  await connection.flush();
  console.log("ready");
  await promise;
  return { count: count - asked.count / 10, seconds: (performance.now() - begun) / 1000, p50: 0, p99: 0 };
}

/** Streams of tokens that hold the time at which they were written; how old they are when they arrive. */
async function streams(connection: NatsConnection, asked: Extract<Load, { kind: "streams" }>): Promise<Seen> {
  const ages: number[] = [];
  let open = asked.streams;
  const { promise, resolve } = Promise.withResolvers<void>();
  const inbox = answers(connection, (_number, message) => {
    if (message.data.length === 0) {
      if ((open -= 1) === 0) resolve();
      return;
    }
    const { text } = fromBinary(EchoFrameSchema, message.data);
    const written = Number(text);
    if (written > 0) ages.push(performance.timeOrigin + performance.now() - written);
  });
  const message = create(EchoRequestSchema, { text: "t", frames: asked.tokens });
  const body = toBinary(EchoRequestSchema, message);
  const start = performance.now();
  for (let number = 0; number < asked.streams; number += 1) {
    connection.publish(asked.subject, body, { reply: `${inbox}.${number}`, headers: callHeaders() });
  }
  await promise;
  return summary(ages, (performance.now() - start) / 1000);
}

/** The same tokens straight from the model's server. */
async function direct(asked: Extract<Load, { kind: "direct" }>): Promise<Seen> {
  const ages: number[] = [];
  const agent = new Agent({ keepAlive: true, maxSockets: asked.streams });
  const one = () =>
    new Promise<void>((resolve, reject) => {
      const sent = request(`${asked.url}/v1/chat/completions`, { method: "POST", agent }, (response) => {
        response.setEncoding("utf8").on("data", (text: string) => {
          const now = performance.timeOrigin + performance.now();
          for (const [, written] of text.matchAll(/"content":"([\d.]+)"/g)) ages.push(now - Number(written));
        });
        response.on("end", resolve);
      });
      sent.on("error", reject);
      sent.end(JSON.stringify({ max_tokens: asked.tokens, stream: true }));
    });
  const start = performance.now();
  await Promise.all(Array.from({ length: asked.streams }, one));
  agent.destroy();
  return summary(ages, (performance.now() - start) / 1000);
}

function summary(times: number[], seconds: number): Seen {
  const sorted = Float64Array.from(times).toSorted();
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return { count: times.length, seconds, p50: at(0.5), p99: at(0.99) };
}
