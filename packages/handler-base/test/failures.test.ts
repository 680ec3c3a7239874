// What the log says of a call that failed: what went wrong underneath, once, and nothing that a user wrote.
import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { bind } from "../src/bind.ts";
import type { Outcome } from "../src/call.ts";
import { createDispatcher } from "../src/dispatch.ts";
import { HandlerError } from "../src/error.ts";
import { createClock } from "../src/live-call.ts";
import { createLogger, type LogRecord } from "../src/log.ts";
import { installation } from "../src/names.ts";
import { EchoRequestSchema, EchoService } from "./gen/echo/v1/echo_pb.ts";
import { echo } from "./support/echo.ts";

const sink = { frame: () => undefined, finish: () => undefined, fail: () => undefined, abandon: () => undefined };

/** Calls `Say` with a handler that throws this. */
async function fail(reason: unknown): Promise<{ outcome: Outcome; lines: LogRecord[] }> {
  const lines: LogRecord[] = [];
  const methods = new Map(echo().methods);
  methods.set("say", { kind: "unary", handle: () => Promise.reject(reason) });
  const [method] = bind({ service: EchoService, methods }, installation("")).methods;
  if (method === undefined) throw new Error("no method");
  const dispatcher = createDispatcher({
    middleware: (_call, next) => next(),
    once: undefined,
    ordering: undefined,
    observer: undefined,
    claimCheck: undefined,
    clock: createClock(),
    log: createLogger({ sink: (line) => lines.push(line) }),
  });
  const { outcome } = await dispatcher.dispatch(
    {
      method,
      way: "request",
      subject: "echo.v1.EchoService.Say",
      pattern: undefined,
      data: toBinary(EchoRequestSchema, create(EchoRequestSchema, { requestId: "f1" })),
      headers: undefined,
      replyTo: undefined,
      attempt: 1,
      lastAttempt: true,
      publishedAt: Date.now(),
      fallbackId: undefined,
    },
    { open: () => sink, reject: () => undefined },
  );
  return { outcome, lines };
}

test("an exception of the handler is one line with its name and place, without its text", async () => {
  const { outcome, lines } = await fail(new TypeError('cannot read "a secret question"'));
  expect(outcome).toMatchObject({ ok: false, error: { code: "internal", message: "the handler failed" } });
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({
    level: "error",
    fields: {
      method: "echo.v1.EchoService.Say",
      request_id: "f1",
      attempt: 1,
      code: "internal",
      error: {
        name: "TypeError",
        stack: expect.arrayContaining([expect.stringContaining("failures.test.ts")]) as unknown,
      },
    },
  });
  expect(JSON.stringify(lines)).not.toContain("secret");
});

test("an error that names its cause is one line with both", async () => {
  const cause = Object.assign(new Error("connect ECONNREFUSED"), { syscall: "connect", code: "ECONNREFUSED" });
  const { lines } = await fail(new HandlerError("the model server is away", "unavailable", { cause }));
  expect(lines).toMatchObject([
    {
      level: "warn",
      fields: { code: "unavailable", error: { message: "the model server is away", cause: { code: "ECONNREFUSED" } } },
    },
  ]);
});

test.each([new HandlerError("no such thing", "not_found"), new DOMException("left", "AbortError")])(
  "a failure that the caller is told whole is no line: %s",
  async (reason) => {
    expect((await fail(reason)).lines).toEqual([]);
  },
);

test("a thrown text is told by its kind only", async () => {
  const { lines } = await fail("a secret question");
  expect(lines).toHaveLength(1);
  expect(JSON.stringify(lines)).not.toContain("secret");
});
