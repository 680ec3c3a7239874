import { array, assert, constantFrom, nat, property, string, tuple, uint8Array } from "fast-check";
import { expect, test } from "vitest";
import { createSseParser, type SseEvent } from "../../src/inference/sse.ts";

const encoder = new TextEncoder();

function parse(bytes: Uint8Array, cuts: number[] = [], maxEventLength = 1_000_000): SseEvent[] {
  const parser = createSseParser({ maxEventLength });
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted((a, b) => a - b);
  const events: SseEvent[] = [];
  let from = 0;
  for (const cut of [...at, bytes.length]) {
    events.push(...parser.push(bytes.subarray(from, cut)));
    from = cut;
  }
  return [...events, ...parser.end()];
}

const data = (text: string): string[] => parse(encoder.encode(text)).map((event) => event.data);

test("reads data lines ended by LF, CRLF and CR", () => {
  expect(data("data: a\n\ndata: b\r\n\r\ndata: c\r\rdata:d\n\n")).toEqual(["a", "b", "c", "d"]);
});

test("joins the data lines of one event and leaves comments and other fields out", () => {
  expect(data(": keep-alive\nid: 7\nretry: 3\ndata: a\ndata\ndata: b\n\n: x\n\n")).toEqual(["a\n\nb"]);
});

test("drops one space after the colon only, and a byte order mark", () => {
  expect(data("\u{feff}data:  x: y\n\n")).toEqual([" x: y"]);
});

test("tells the event's name and forgets it after the event", () => {
  expect(parse(encoder.encode("event: error\ndata: 1\n\ndata: 2\n\n"))).toEqual([
    { event: "error", data: "1" },
    { event: "message", data: "2" },
  ]);
});

test("gives the last event also when the stream ends without its blank line", () => {
  expect(data("data: a\n\ndata: [DONE]")).toEqual(["a", "[DONE]"]);
});

test("refuses an event beyond the limit, in one line or in many", () => {
  expect(() => parse(encoder.encode(`data: ${"x".repeat(200)}`), [], 100)).toThrow(/more than 100/);
  expect(() => parse(encoder.encode("data: xxxxxxxxx\n".repeat(20)), [], 100)).toThrow(/more than 100/);
});

test("any events come back the same however the bytes are split", () => {
  const text = string({ unit: "grapheme" }).map((each) => each.replaceAll(/[\r\n\u{feff}]/gu, ""));
  const ending = constantFrom("\n", "\r\n", "\r");
  assert(
    property(array(tuple(array(text, { minLength: 1, maxLength: 3 }), ending)), array(nat()), (events, cuts) => {
      const wire = events.map(([lines, end]) => lines.map((line) => `data: ${line}${end}`).join("") + end).join("");
      const read = parse(encoder.encode(wire), cuts).map((event) => event.data);
      expect(read).toEqual(events.map(([lines]) => lines.join("\n")));
    }),
  );
});

test("garbage never throws and gives the same however it is split", () => {
  assert(
    property(uint8Array({ maxLength: 200 }), array(nat()), (bytes, cuts) => {
      expect(parse(bytes, cuts)).toEqual(parse(bytes));
    }),
  );
});
