// Log lines: JSON, bounded, without secrets and without what users wrote.
import { describe, expect, test } from "vitest";
import { HandlerError } from "../src/error.ts";
import { createLogger, formatLine, type LogRecord } from "../src/log.ts";

function logged(write: (log: ReturnType<typeof createLogger>) => void, level: "debug" | "info" = "info"): string[] {
  const records: LogRecord[] = [];
  write(createLogger({ level, sink: (record) => records.push(record) }));
  return records.map(formatLine);
}

describe("a log line", () => {
  test("is one JSON object with time, level, message and fields", () => {
    const [line = ""] = logged((log) => log.child({ service: "s" }).info({ ms: 12 }, "handled"));
    expect(line.endsWith("}\n")).toBe(true);
    expect(JSON.parse(line)).toMatchObject({ level: "info", msg: "handled", service: "s", ms: 12 });
  });

  test("below the level is not written", () => {
    expect(logged((log) => log.debug({}, "no"))).toEqual([]);
    expect(logged((log) => log.debug({}, "yes"), "debug")).toHaveLength(1);
  });

  test.each(["password", "apiKey", "Authorization", "query", "userQuery", "answer", "text", "body", "nats_creds"])(
    "blanks %s at any depth",
    (key) => {
      const lines = logged((log) => log.info({ [key]: "hunter2", deep: { list: [{ [key]: "hunter2" }] } }, "x"));
      expect(lines.join()).not.toContain("hunter2");
    },
  );

  test("keeps an error's text only where it is ours", () => {
    const quoted = new SyntaxError('Unexpected token in JSON: "my private words"');
    const [line = ""] = logged((log) =>
      log.error({ error: new HandlerError("the model is away", "unavailable", { cause: quoted }) }, "failed"),
    );
    expect(line).toContain("the model is away");
    expect(line).not.toContain("private words");
  });

  test("is bounded, whatever is logged", () => {
    const endless: Record<string, unknown> = {
      big: "x".repeat(1e6),
      list: Array.from({ length: 1e5 }, (_, index) => index),
      bytes: new Uint8Array(1e6),
    };
    endless["self"] = endless;
    const [line = ""] = logged((log) => log.info(endless, "x"));
    expect(line.length).toBeLessThan(20_000);
  });

  test("never throws: getters that throw, revoked proxies, big integers, symbols", () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const nasty = {
      get bad() {
        throw new Error("no");
      },
      big: 1n,
      symbol: Symbol("s"),
      fn: () => 1,
      nan: Number.NaN,
      proxy,
    };
    expect(logged((log) => log.info({ nasty }, "x")).length).toBe(1);
  });
});
