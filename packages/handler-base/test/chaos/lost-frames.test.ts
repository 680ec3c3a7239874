// A connection that breaks for a moment loses frames in the middle of a stream: the caller is told, and never takes what is left for the whole.
import { create, toBinary } from "@bufbuild/protobuf";
import { headers as natsHeaders, type Msg, type NatsConnection } from "@nats-io/nats-core";
import { startNats, type NatsFixture } from "@pipeline/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createClient } from "../../src/index.ts";
import { EchoFrameSchema, EchoService } from "../gen/echo/v1/echo_pb.ts";

let nats: NatsFixture;
let nc: NatsConnection;
beforeAll(async () => {
  nats = await startNats();
  nc = await nats.connect();
}, 60_000);
afterAll(() => nats[Symbol.asyncDispose]());

/** Plays the service's side of one call on the wire: frames with these numbers, then the end with its own. */
async function playService(
  frames: readonly (readonly [attempt: number, sequence: number])[],
  end: number,
): Promise<void> {
  nc.subscribe("echo.v1.EchoService.Count", {
    max: 1,
    callback: (error, request: Msg) => {
      if (error) throw error;
      for (const [attempt, sequence] of frames) {
        const out = natsHeaders();
        out.set("Handler-Type", "echo.v1.EchoFrame");
        out.set("Handler-Sequence", String(sequence));
        out.set("Handler-Attempt", String(attempt));
        const frame = create(EchoFrameSchema, { text: `${attempt}.${sequence} `, attempt, sequence: BigInt(sequence) });
        request.respond(toBinary(EchoFrameSchema, frame), { headers: out });
      }
      const out = natsHeaders();
      out.set("Handler-Status", "ok");
      out.set("Handler-Sequence", String(end));
      request.respond(new Uint8Array(), { headers: out });
    },
  });
  await nc.flush();
}

async function read(): Promise<string> {
  let text = "";
  for await (const frame of createClient(EchoService, nc, { durable: false }).count({ frames: 3 })) text += frame.text;
  return text;
}

describe("a stream", () => {
  test.each([
    {
      what: "in the middle",
      frames: [
        [1, 1],
        [1, 3],
      ] as const,
      end: 4,
    },
    {
      what: "at the begin",
      frames: [
        [1, 2],
        [1, 3],
      ] as const,
      end: 4,
    },
    {
      what: "before the end",
      frames: [
        [1, 1],
        [1, 2],
      ] as const,
      end: 4,
    },
    {
      what: "at the begin of another attempt",
      frames: [
        [1, 1],
        [2, 2],
      ] as const,
      end: 3,
    },
  ])("that lost a frame $what fails with unavailable", async ({ frames, end }) => {
    await playService(frames, end);
    await expect(read()).rejects.toMatchObject({ code: "unavailable", message: "frames of the answer were lost" });
  });

  test("that another attempt begins anew is whole", async () => {
    await playService(
      [
        [1, 1],
        [1, 2],
        [2, 1],
        [2, 2],
      ],
      3,
    );
    expect(await read()).toBe("1.1 1.2 2.1 2.2 ");
  });
});
