// Configuration: every problem at once, each with the variable's name, secrets never shown.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ConfigError, defineConfig, env, rowsIn, tableRows } from "../src/config.ts";

const config = defineConfig({
  url: env.url("X_URL", { doc: "a server", aliases: ["OLD_URL"] }),
  urls: env.urls("X_URLS", { optional: true, doc: "servers" }),
  port: env.int("X_PORT", { default: 80, min: 1, max: 65_535, doc: "a port" }),
  wait: env.duration("X_WAIT", { default: "30s", min: 1000, doc: "a time" }),
  mode: env.enum("X_MODE", ["fast", "slow"], { default: "fast", doc: "a mode" }),
  on: env.bool("X_ON", { default: false, doc: "a switch" }),
  key: env.secretFile("X_KEY", { optional: true, doc: "a key" }),
});

function problems(source: Record<string, string>): readonly string[] {
  try {
    config.read(source);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "config-test-"));
});
afterEach(() => rm(folder, { recursive: true }));

describe("a configuration", () => {
  test("has its defaults, is frozen, and reads what is set", () => {
    const values = config.read({ X_URL: "http://h:1/", X_WAIT: "2m", X_ON: "yes" });
    expect(values).toMatchObject({
      url: "http://h:1",
      port: 80,
      wait: 120_000,
      mode: "fast",
      on: true,
      key: undefined,
      urls: undefined,
    });
    expect(values.natsUrl).toEqual(["nats://127.0.0.1:4222"]);
    expect(Object.isFrozen(values)).toBe(true);
  });

  test("names every problem at once, each with its variable", () => {
    const found = problems({
      X_PORT: "70000",
      X_WAIT: "soon",
      X_MODE: "quick",
      X_ON: "perhaps",
      HEALTH_PORT: "-1",
      NATS_USER: "u",
    });
    for (const name of ["X_URL", "X_PORT", "X_WAIT", "X_MODE", "X_ON", "HEALTH_PORT"]) {
      expect(found.filter((line) => line.startsWith(name))).toHaveLength(1);
    }
  });

  test("tells contradictions of the variables that every service has", () => {
    const found = problems({
      X_URL: "http://h",
      NATS_TOKEN: "t",
      NATS_USER: "u",
      INSTALLATION: "not ok!",
      NATS_TLS_CERT_FILE: "c",
    });
    expect(found.join("\n")).toMatch(/NATS_TOKEN and NATS_USER are different ways to log in/);
    expect(found.join("\n")).toMatch(/NATS_USER and NATS_PASSWORD belong together/);
    expect(found.join("\n")).toMatch(/INSTALLATION/);
    expect(found.join("\n")).toMatch(/NATS_TLS_CERT_FILE and NATS_TLS_KEY_FILE belong together/);
  });

  test("reads older names, the newer one first", () => {
    expect(config.read({ OLD_URL: "http://old" }).url).toBe("http://old");
    expect(config.read({ OLD_URL: "http://old", X_URL: "http://new" }).url).toBe("http://new");
  });

  test("takes empty for not set", () => {
    expect(problems({ X_URL: "" })).toEqual([expect.stringMatching(/^X_URL/)]);
    expect(config.read({ X_URL: "http://h", X_PORT: "" }).port).toBe(80);
  });

  test("reads a secret from a file, without the newline at its end, and tells a file that cannot be read", async () => {
    const file = join(folder, "key");
    await writeFile(file, "s3cret\n");
    expect(config.read({ X_URL: "http://h", X_KEY_FILE: file }).key).toBe("s3cret");
    expect(problems({ X_URL: "http://h", X_KEY_FILE: join(folder, "absent") }).join()).toMatch(/X_KEY_FILE/);
    expect(problems({ X_URL: "http://h", X_KEY_FILE: file, X_KEY: "both" }).join()).toMatch(/X_KEY/);
  });

  test("never shows a secret, nor a password in a URL", () => {
    const found = problems({
      X_URL: "http://user:hunter2@ bad",
      X_KEY: "hunter2",
      X_KEY_FILE: "/x",
      NATS_URL: "::hunter2",
    });
    expect(found.length).toBeGreaterThan(0);
    expect(found.join("\n")).not.toContain("hunter2");
  });

  test("describes its variables for the README", () => {
    expect(config.describe().find(({ name }) => name === "X_URL")).toMatchObject({
      aliases: ["OLD_URL"],
      required: true,
      doc: "a server",
    });
    expect(config.describe().some(({ name }) => name === "NATS_URL")).toBe(true);
  });

  test("is documented: the variables that every service has stand in docs/operating.md as they are", async () => {
    const page = await readFile(new URL("../../../docs/operating.md", import.meta.url), "utf8");
    const rows = tableRows(defineConfig({}).describe());
    expect(rowsIn(page), `docs/operating.md must have these rows:\n${rows.join("\n")}`).toEqual(rows);
  });

  test("refuses two variables of one name", () => {
    expect(() =>
      defineConfig({
        one: env.int("SAME", { doc: "1", optional: true }),
        two: env.int("SAME", { doc: "2", optional: true }),
      }),
    ).toThrow(/SAME/);
  });
});
