// The quick check against the validator: what it calls valid is valid, and ordinary requests never reach the validator.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import { ChatRequestSchema } from "@pipeline/messages";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { quickCheckOf } from "../src/quick-check.ts";
import { EchoRequestSchema } from "./gen/echo/v1/echo_pb.ts";

const validator = createValidator();
const isValid = (message: MessageInitShape<typeof ChatRequestSchema> & { $typeName: "messages.v1.ChatRequest" }) =>
  validator.validate(ChatRequestSchema, create(ChatRequestSchema, message)).kind === "valid";

const text = fc.oneof(
  { arbitrary: fc.stringMatching(/^[\w-]{0,20}$/), weight: 12 },
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.string({
    unit: fc.constantFrom("a", "Z", "0", "_", "-", ".", "*", ">", " ", "\u00a0", "\u000b", "\n", "é", "😀"),
  }),
  fc.constantFrom("", "x".repeat(128), "x".repeat(129), "😀".repeat(128), "x".repeat(32_769)),
);
const request = fc.record({
  requestId: text,
  userId: text,
  username: text,
  sessionId: text,
  message: text,
  query: text,
  collection: text,
  topK: fc.oneof(fc.integer({ min: -3, max: 53 }), fc.constantFrom(-2_147_483_648, 2_147_483_647)),
});

test("what it calls valid is valid for the validator", () => {
  const check = quickCheckOf(ChatRequestSchema);
  let quick = 0;
  fc.assert(
    fc.property(request, (init) => {
      const message = create(ChatRequestSchema, init);
      if (!check?.(message)) return;
      quick += 1;
      expect(isValid(message)).toBe(true);
    }),
    { numRuns: 3000 },
  );
  expect(quick).toBeGreaterThan(50);
});

test.each([EchoRequestSchema, ChatRequestSchema])("an ordinary $typeName needs no validator", (schema) => {
  const message = create(schema, { requestId: "r-1", userId: "u1", sessionId: "s_1" });
  expect(quickCheckOf(schema)?.(message)).toBe(true);
});

test("every field with a rule can fail it", () => {
  const check = quickCheckOf(ChatRequestSchema);
  for (const bad of [
    { requestId: "a.b" },
    { userId: "x".repeat(129) },
    { message: "x".repeat(32_769) },
    { topK: -1 },
    { topK: 51 },
    { collection: "a b" },
    { language: "x".repeat(36) },
  ]) {
    expect(check?.(create(ChatRequestSchema, bad)), JSON.stringify(bad).slice(0, 60)).toBe(false);
  }
});
