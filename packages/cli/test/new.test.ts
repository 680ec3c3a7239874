// A new service passes its tests at once: inside a copy of the repository, and in an empty folder outside on packed tarballs.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { fetchArtifact } from "@pipeline/artifacts";
import { startNats } from "@pipeline/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { manifests, versions } from "../src/new/manifests.ts";
import { serviceName } from "../src/new/service-name.ts";
import { handlers } from "./support/handlers.ts";

const root = join(import.meta.dirname, "../../..");
const tools = join(root, "node_modules", ".bin");

/** What npm and its programs may see of the environment. */
const allowed =
  /^(PATH|HOME|TMPDIR|LANG|PIPELINE_CACHE|XDG_CACHE_HOME|NODE_EXTRA_CA_CERTS|SSL_CERT_\w+|(HTTPS?|NO|ALL)_PROXY|(https?|no|all)_proxy|npm_config_(registry|cache|userconfig|globalconfig|cafile))$/i;

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "new-"));
  await fetchArtifact("nats-server"); // not within the time of the services' own tests
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Runs a program; rejects with what it printed. */
async function run(cwd: string, file: string, ...args: readonly string[]): Promise<string> {
  const env = {
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => allowed.test(name))),
    PATH: `${tools}${delimiter}${process.env["PATH"] ?? ""}`,
  };
  try {
    return (await promisify(execFile)(file, [...args], { cwd, env, timeout: 300_000 })).stdout;
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`${file} ${args.join(" ")} failed:\n${stdout}${stderr}`, { cause: error });
  }
}

describe("outside the repository", () => {
  test("a project in an empty folder installs, passes its tests and checks, and is called by the command line", async () => {
    const packages = join(folder, "tarballs");
    await run(root, process.execPath, "tools/pack.ts", packages);
    const project = join(folder, "order-status");
    const made = await handlers(["new", "order-status", "--packages", packages], { cwd: folder });
    expect(made).toMatchObject({ code: 0, stderr: "" });
    expect(await handlers(["new", "order-status", "--packages", packages], { cwd: folder })).toMatchObject({ code: 2 });
    await rm(packages, { recursive: true }); // the project has its own copies
    await run(project, "npm", "install", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error");
    expect(await run(project, "npm", "test")).toMatch(/pass 2\n.*fail 0\n/);
    await run(project, "npm", "run", "check");

    await using nats = await startNats();
    const service = spawn(process.execPath, ["src/main.ts"], {
      cwd: project,
      env: { NATS_URL: nats.url, HEALTH_HOST: "127.0.0.1", HEALTH_PORT: "0", LOG_LEVEL: "error" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const ended = once(service, "exit");
    const said = text(service.stderr);
    try {
      const module = join(project, "src/gen/order_status/v1/order_status_pb.ts");
      const options = ["--proto-module", module, "--server", nats.url];
      // The call may come before the service: then there is no stream yet that keeps it.
      expect(await handlers(["provision", "order-status", ...options])).toMatchObject({ code: 0 });
      const called = await handlers(["call", "OrderStatusService.Greet", '{"name":"Ada"}', ...options]);
      expect(called).toMatchObject({ code: 0, stderr: "" });
      expect(JSON.parse(called.stdout)).toMatchObject({ text: "Good day, Ada." });
      const event = await handlers(["call", '{"name":"Eve"}', "--subject", "order_status.request", ...options]);
      expect(JSON.parse(event.stdout)).toMatchObject({ text: "Good day, Eve." });
    } finally {
      service.kill("SIGTERM");
      expect([await ended, await said]).toEqual([[0, null], ""]);
    }
  }, 400_000);

  test("without tarballs, in a folder that is not empty, or in the repository it is refused", async () => {
    const empty = join(folder, "empty");
    await mkdir(empty);
    const none = await handlers(["new", "mine", "--packages", empty], { cwd: folder });
    expect(none).toMatchObject({ code: 2 });
    expect(none.stderr).toContain("has no tarball of artifacts, cli, handler-base, messages, testkit");
    await writeFile(join(empty, "file"), "");
    expect((await handlers(["new", "mine", "--dir", empty], { cwd: folder })).stderr).toContain("is not empty");
    const within = await handlers(["new", "mine", "--dir", join(root, "services", "mine")], { cwd: folder });
    expect(within.stderr).toContain("lies in the repository");
  });
});

describe("inside the repository", () => {
  test("services/NAME passes its tests, its types and the contract's lint", async () => {
    const copy = join(folder, "copy");
    const parts = ["buf.yaml", ".oxfmtrc.json", "proto", "proto-vendor", "packages/handler-base/package.json"];
    for (const part of [
      ...parts,
      "packages/handler-base/test/proto",
      "packages/cli/src",
      "packages/cli/package.json",
    ]) {
      await cp(join(root, part), join(copy, part), { recursive: true });
    }
    await symlink(join(root, "node_modules"), join(copy, "node_modules"));
    const made = await run(copy, process.execPath, "packages/cli/src/main.ts", "new", "order-status");
    expect(made).toContain("services/order-status is ready");
    await run(copy, "buf", "lint");
    const service = join(copy, "services", "order-status");
    expect(await run(service, "vitest", "run", "--reporter=verbose")).toMatch(/2 passed/);
    await cp(join(root, "tsconfig.json"), join(copy, "tsconfig.json"));
    await run(copy, "tsc", "-p", ".");
    await run(copy, "oxfmt", "--check", "services");
    await expect(run(copy, process.execPath, "packages/cli/src/main.ts", "new", "order-status")).rejects.toThrow(
      "is there already",
    );
  }, 400_000);
});

test.each(["", "Order", "order_status", "-a", "a--b", "1st", "ai", "x".repeat(40), "a b", "../a"])(
  "%j is no name",
  (text_) => {
    expect(() => serviceName(text_)).toThrow(/name/);
  },
);

test("versions in what is made are those of the repository", async () => {
  const read = async (file: string) =>
    JSON.parse(await readFile(join(root, file), "utf8")) as Record<string, Record<string, string>>;
  const all = await Promise.all(["package.json", "packages/handler-base/package.json"].map(read));
  const known = Object.assign({}, ...all.flatMap((one) => [one["dependencies"], one["devDependencies"]])) as object;
  expect(known).toMatchObject(versions);
  const made = manifests.inside(serviceName("mine"))["package.json"] ?? "";
  const chat = await read("services/chat-handler/package.json");
  expect(JSON.parse(made)).toMatchObject({ type: chat["type"], license: chat["license"], private: true });
});
