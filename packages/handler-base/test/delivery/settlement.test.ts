// The settlement table, one test a row.
import { describe, expect, test } from "vitest";
import type { Incoming, Outcome } from "../../src/call.ts";
import { decide, triedTooOften } from "../../src/delivery/settlement.ts";
import { HandlerError, type Code } from "../../src/error.ts";
import { serviceStopping } from "../../src/stopping.ts";

const retry = { maxAttempts: 5, initialDelayMs: 1000, maxDelayMs: 60_000, factor: 5 };
const at = (attempt: number) => ({ way: "event", attempt, lastAttempt: attempt >= retry.maxAttempts }) as Incoming;
const failed = (error: HandlerError): Outcome => ({ ok: false, error });
const unavailable = new HandlerError("away", "unavailable");

describe("a message whose call", () => {
  test("was answered is acknowledged", () => {
    expect(decide({ ok: true }, at(1), retry, 0.5)).toEqual({ kind: "ack" });
  });

  test.each([
    "canceled",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "failed_precondition",
    "out_of_range",
    "unimplemented",
    "data_loss",
    "unauthenticated",
  ] satisfies Code[])("failed with %s is a dead letter at once", (code) => {
    const error = new HandlerError("no", code);
    expect(decide(failed(error), at(1), retry, 0.5)).toEqual({ kind: "dead_letter", cause: code, error });
  });

  test.each(["unknown", "resource_exhausted", "aborted", "internal", "unavailable"] satisfies Code[])(
    "failed with %s is tried again, and is a dead letter after the last attempt",
    (code) => {
      const error = new HandlerError("maybe", code);
      expect(decide(failed(error), at(1), retry, 0.5)).toEqual({ kind: "nak", delayMs: 1000 });
      expect(decide(failed(error), at(2), retry, 0.5)).toEqual({ kind: "copy", attempt: 3, delayMs: 5000 });
      expect(decide(failed(error), at(3), retry, 0.5)).toEqual({ kind: "copy", attempt: 4, delayMs: 25_000 });
      expect(decide(failed(error), at(4), retry, 0.5)).toEqual({ kind: "copy", attempt: 5, delayMs: 60_000 });
      expect(decide(failed(error), at(5), retry, 0.5)).toEqual({ kind: "dead_letter", cause: code, error });
    },
  );

  test("failed with an error that says itself whether another attempt can succeed is settled by that", () => {
    const error = new HandlerError("later", "failed_precondition", { retryable: true });
    expect(decide(failed(error), at(1), retry, 0.5).kind).toBe("nak");
  });

  test("waits as long as the error asks, between its own delay and an hour", () => {
    const asks = (retryAfterMs: number) => failed(new HandlerError("wait", "resource_exhausted", { retryAfterMs }));
    expect(decide(asks(10), at(1), retry, 0.5)).toEqual({ kind: "nak", delayMs: 1000 });
    expect(decide(asks(30_000), at(1), retry, 0.5)).toEqual({ kind: "copy", attempt: 2, delayMs: 30_000 });
    expect(decide(asks(1e12), at(1), retry, 0.5)).toEqual({ kind: "copy", attempt: 2, delayMs: 3_600_000 });
  });

  test("is spread by a fifth to each side", () => {
    expect(decide(failed(unavailable), at(1), retry, 0)).toEqual({ kind: "nak", delayMs: 800 });
    expect(decide(failed(unavailable), at(1), retry, 0.999_999)).toEqual({ kind: "nak", delayMs: 1200 });
  });

  test("was ended by the stop of the service costs no attempt", () => {
    expect(decide(failed(serviceStopping), at(1), retry, 0.5)).toEqual({ kind: "nak", delayMs: 0 });
    expect(decide(failed(serviceStopping), at(5), retry, 0.5)).toEqual({ kind: "copy", attempt: 5, delayMs: 0 });
  });

  test("was canceled by a caller who waited at an inbox is wanted by nobody", () => {
    const error = new HandlerError("the caller is gone", "canceled");
    expect(decide(failed(error), { ...at(1), replyTo: "_INBOX.x" }, retry, 0.5)).toEqual({ kind: "ack" });
  });

  test("was delivered more often than there are attempts is a dead letter of its own kind", () => {
    expect(decide(failed(triedTooOften), at(6), retry, 0.5)).toMatchObject({
      kind: "dead_letter",
      cause: "max_deliveries",
    });
  });
});
