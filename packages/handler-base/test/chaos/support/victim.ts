// The victim: the bundle of the echo service, as it would be shipped, in a process of its own.
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePorts, startProcess, type ProcessFixture } from "@pipeline/testkit";

const root = join(import.meta.dirname, "../../../../..");
const run = promisify(execFile);

/** A bundle on disk; disposing removes it. */
export interface Bundle extends AsyncDisposable {
  readonly main: string;
}

/** Bundles the victim with the repository's own options. */
export async function bundleVictim(): Promise<Bundle> {
  const folder = await mkdtemp(join(tmpdir(), "victim-"));
  const remove = () => rm(folder, { recursive: true, force: true });
  const bundler = join(root, "node_modules/rolldown/bin/cli.mjs");
  try {
    await run(process.execPath, [bundler, "-c", join(root, "rolldown.config.ts"), "-d", folder], {
      cwd: join(import.meta.dirname, "../victim"),
      timeout: 60_000,
    });
  } catch (error) {
    await remove();
    throw error;
  }
  return { main: join(folder, "main.cjs"), [Symbol.asyncDispose]: remove };
}

export interface VictimOptions {
  readonly bundle: Bundle;
  readonly natsUrl: string;
  /** Where it tells its runs. */
  readonly runsUrl: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts a replica and waits until it is ready. */
export async function startVictim({ bundle, natsUrl, runsUrl, env = {} }: VictimOptions): Promise<ProcessFixture> {
  const [port = 0] = await freePorts(1);
  return await startProcess({
    command: [process.execPath, "--unhandled-rejections=strict", bundle.main],
    env: {
      NATS_URL: natsUrl,
      RUNS_URL: runsUrl,
      HEALTH_HOST: "127.0.0.1",
      HEALTH_PORT: String(port),
      LOG_LEVEL: "warn",
      ACK_WAIT: "2s",
      ...env,
    },
    readyUrl: `http://127.0.0.1:${port}/readyz`,
  });
}

/** What went wrong inside a replica that nobody killed; undefined if nothing did. */
export function harmOf(victim: ProcessFixture): string | undefined {
  const said = victim.stderr.slice(-4000);
  if (!victim.running) return `the replica ended by itself:\n${said}`;
  return /unhandled|a call failed outside its handler|pulling ended|TypeError/i.test(victim.stderr) ? said : undefined;
}
