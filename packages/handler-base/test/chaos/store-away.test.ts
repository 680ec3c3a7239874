// The store of claims does not answer for longer than a few attempts take, as in a slow election: messages wait for it, and none of them
// loses an attempt or ends as a dead letter.
import { setTimeout as sleep } from "node:timers/promises";
import { jetstreamManager } from "@nats-io/jetstream";
import { headers } from "@nats-io/nats-core";
import { create, toBinary } from "@bufbuild/protobuf";
import { startNats } from "@pipeline/testkit";
import { expect, test } from "vitest";
import { EchoRequestSchema } from "../gen/echo/v1/echo_pb.ts";
import { until } from "../delivery/support.ts";
import { startEcho } from "../support/service.ts";
import { openOracle } from "./support/oracle.ts";

test("messages outlast a store of claims that is away", { timeout: 120_000 }, async () => {
  await using nats = await startNats();
  await using stack = new AsyncDisposableStack();
  stack.use(await startEcho(nats.url));
  const nc = await nats.connect();
  const oracle = await openOracle(nc);
  const jsm = await jetstreamManager(nc);
  await jsm.streams.delete("KV_handler_leases");
  await oracle.ask("once", { requestId: "o1", text: "o1" });
  await oracle.ask("count", { requestId: "o2", text: "o2-", sessionId: "s", frames: 1 });
  await sleep(8000);
  expect(oracle.unanswered()).toEqual(["o1", "o2"]);
  stack.use(await startEcho(nats.url)); // makes what is missing
  await oracle.untilAllAnswered(60_000);
  const finals = ["o1", "o2"].flatMap((id) => oracle.finals(id)).map(({ answer }) => answer);
  expect(finals.map(({ error, text, attempt }) => ({ error, text, attempt }))).toEqual([
    { error: undefined, text: "o1", attempt: 1 },
    { error: undefined, text: "o2-1 ", attempt: 1 },
  ]);
});

test("a message whose time ends meanwhile is answered", { timeout: 120_000 }, async () => {
  await using nats = await startNats();
  await using stack = new AsyncDisposableStack();
  stack.use(await startEcho(nats.url));
  const nc = await nats.connect();
  const oracle = await openOracle(nc);
  await (await jetstreamManager(nc)).streams.delete("KV_handler_leases");
  const out = headers();
  out.set("Handler-Deadline-Ms", "2000");
  const request = create(EchoRequestSchema, { requestId: "d1", text: "d1" });
  nc.publish("echo.once", toBinary(EchoRequestSchema, request), { headers: out });
  await until(
    () => oracle.finals("d1").length > 0,
    () => "the publisher was told nothing",
    30_000,
  );
  expect(oracle.finals("d1").map(({ answer }) => answer.error?.type)).toEqual(["deadline_exceeded"]);
});
