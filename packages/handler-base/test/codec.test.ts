// Parsers of what strangers send: never anything but a message or a HandlerError that quotes nothing, whatever the bytes.
import { create, toBinary, type DescMessage } from "@bufbuild/protobuf";
import { decode as unpack, encode as pack } from "@msgpack/msgpack";
import { ChatRequestSchema, file_messages_v1_chat } from "@pipeline/messages";
import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { contentTypeOf, decode, encode, loadMessagePack, type ContentType } from "../src/codec.ts";
import { covers, fieldsOf, fill, isToken, parsePattern } from "../src/subjects.ts";
import { decodeControl, encodeControl } from "../src/ways/control.ts";
import { HandlerError } from "../src/error.ts";

const types: readonly ContentType[] = ["application/x-protobuf", "application/json", "application/msgpack"];
beforeAll(loadMessagePack);

const request = fc
  .record({
    requestId: fc.string(),
    userId: fc.string(),
    query: fc.string({ unit: "binary" }),
    topK: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    enableStreaming: fc.boolean(),
    enableRag: fc.option(fc.boolean(), { nil: undefined }),
  })
  .map(({ enableRag, ...fields }) =>
    create(ChatRequestSchema, { ...fields, ...(enableRag !== undefined && { enableRag }) }),
  );

describe("a payload", () => {
  test.each(types)("in %s comes back as it was", (type) => {
    fc.assert(
      fc.property(request, (message) => {
        expect(decode(ChatRequestSchema, encode(ChatRequestSchema, message, type), type)).toEqual(message);
      }),
      { numRuns: 300 },
    );
  });

  test.each(types)("of any bytes in %s is a message or invalid_argument that does not quote it", (type) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decode(ChatRequestSchema, bytes, type);
        } catch (reason) {
          expect(reason).toBeInstanceOf(HandlerError);
          expect((reason as HandlerError).code).toBe("invalid_argument");
          expect((reason as HandlerError).message).toBe(`the payload is no valid messages.v1.ChatRequest in ${type}`);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("that was cut anywhere is a message or refused", () => {
    fc.assert(
      fc.property(request, fc.nat(), (message, at) => {
        const whole = toBinary(ChatRequestSchema, message);
        const cut = whole.subarray(0, at % (whole.length + 1));
        try {
          decode(ChatRequestSchema, cut, "application/x-protobuf");
        } catch (reason) {
          expect((reason as HandlerError).code).toBe("invalid_argument");
        }
      }),
      { numRuns: 500 },
    );
  });

  test("in MessagePack may be nested a thousand deep and is refused in bounded time", () => {
    let value: unknown = "x";
    for (let depth = 0; depth < 1000; depth += 1) value = { query: value };
    const bytes = Buffer.concat([Buffer.alloc(20_000, 0x81), Buffer.from([0xa1, 0x61])]);
    for (const data of [bytes, Buffer.from(pack(value, { maxDepth: 2000 }))]) {
      expect(() => decode(ChatRequestSchema, data, "application/msgpack")).toThrow(HandlerError);
    }
  });

  test("in MessagePack tolerates keys that nobody knows, and null for what is not set", () => {
    const data = pack({ request_id: "r", query: "q", unknown: { deep: [1, 2] }, session_id: null, timestamp: 1.5 });
    expect(decode(ChatRequestSchema, data, "application/msgpack")).toEqual(
      create(ChatRequestSchema, { requestId: "r", query: "q" }),
    );
    expect(
      unpack(encode(ChatRequestSchema, create(ChatRequestSchema, { query: "q" }), "application/msgpack")),
    ).toMatchObject({ query: "q" });
  });
});

describe("a content type", () => {
  test("without a header is MessagePack exactly where no request of the contract could start so", () => {
    const requests = file_messages_v1_chat.messages.filter(({ name }) => /Request$|Event$/.test(name));
    const firstBytes = (desc: DescMessage) =>
      desc.fields.flatMap(({ number }) =>
        [0, 1, 2, 5].map((wire) => ((number << 3) | wire) & 0x7f).map((low) => (number >= 16 ? low | 0x80 : low)),
      );
    for (const desc of requests) {
      for (const byte of firstBytes(desc))
        expect(contentTypeOf(undefined, Uint8Array.of(byte))).toBe("application/x-protobuf");
    }
    for (let byte = 0; byte < 256; byte += 1) {
      const map = (byte >= 0x80 && byte <= 0x8f) || byte === 0xde || byte === 0xdf;
      expect(contentTypeOf("", Uint8Array.of(byte)) === "application/msgpack").toBe(map);
    }
  });

  test("by header knows its aliases and parameters, and refuses any other", () => {
    expect(contentTypeOf("Application/JSON; charset=utf-8", new Uint8Array())).toBe("application/json");
    expect(contentTypeOf("application/octet-stream", new Uint8Array())).toBe("application/x-protobuf");
    expect(() => contentTypeOf("text/html", new Uint8Array())).toThrow(/names no known type/);
  });
});

describe("a subject", () => {
  const token = fc.stringMatching(/^[A-Za-z0-9_-]{1,12}$/);

  test("made from a pattern is matched by its filter and gives its fields back", () => {
    fc.assert(
      fc.property(token, token, (user, id) => {
        const pattern = parsePattern("a.{user_id}.b.{request_id}");
        const subject = fill(pattern, (field) => (field === "user_id" ? user : id));
        expect(subject).toBeDefined();
        expect(covers(pattern.filter, subject ?? "")).toBe(true);
        expect(fieldsOf(pattern, subject ?? "")).toEqual(
          new Map([
            ["user_id", user],
            ["request_id", id],
          ]),
        );
      }),
    );
  });

  test("is never made from a value that is more, or less, than one literal token", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (value) => {
        const subject = fill(parsePattern("a.{x}.b"), () => value);
        if (subject === undefined) expect(isToken(value)).toBe(false);
        else expect(subject.split(".")).toEqual(["a", value, "b"]);
      }),
      { numRuns: 1000 },
    );
    for (const bad of ["", "a.b", "*", ">", "a b", "a\tb", "a\r\nPUB x", "a\u0000"]) expect(isToken(bad)).toBe(false);
  });

  test.each([
    ["a.>", "a.b.c", true],
    ["a.>", "a", false],
    ["a.*", "a.b", true],
    ["a.*", "a.b.c", false],
    ["a.*", "a.>", false],
    ["a.b", "a.*", false],
    [">", "a", true],
    ["a.*.c", "a.*.c", true],
  ])("filter %s covers %s: %s", (filter, subject, covered) => expect(covers(filter, subject)).toBe(covered));
});

test("control messages come back as they were, and anything else is no control message", () => {
  expect(decodeControl(encodeControl("cancel"))).toBe("cancel");
  fc.assert(
    fc.property(fc.nat({ max: 999_999_999 }), (credits) => {
      expect(decodeControl(encodeControl({ credits }))).toEqual({ credits });
    }),
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      const message = decodeControl(text);
      if (message !== undefined) expect(encodeControl(message)).toBe(text.replace(/^credits 0+(?=\d)/, "credits "));
    }),
  );
});
