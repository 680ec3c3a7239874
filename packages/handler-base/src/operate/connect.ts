// The connection of an operator's tool: the variables of a service, but it fails at once instead of waiting for a server to appear.
import type { NatsConnection } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import { defineConfig, type BaseConfig } from "../config.ts";
import { connectionOptions } from "../connection.ts";
import { HandlerError } from "../error.ts";
import { installation, type Installation } from "../names.ts";

export interface ToolOptions {
  /** Shown in the server's monitoring. */
  readonly name: string;
  /** In place of NATS_URL. */
  readonly server?: string | undefined;
  /** In place of INSTALLATION. */
  readonly installation?: string | undefined;
  /** Default: the process's environment. */
  readonly source?: Readonly<Record<string, string | undefined>>;
}

export interface Tool extends AsyncDisposable {
  readonly nc: NatsConnection;
  readonly installation: Installation;
  readonly config: Readonly<BaseConfig>;
}

const config = defineConfig({});
const connectTimeoutMs = 5000;

/** The configuration that a tool would connect with. Throws a ConfigError that names every wrong variable. */
export function toolConfig({ server, installation: name, source = process.env }: Omit<ToolOptions, "name">) {
  return config.read({
    ...source,
    ...(server !== undefined && { NATS_URL: server }),
    ...(name !== undefined && { INSTALLATION: name }),
  });
}

/** Connects within 5 s or rejects with `unavailable` in one sentence; disposing flushes and closes. Throws a ConfigError. */
export async function connectTool(options: ToolOptions): Promise<Tool> {
  const read = toolConfig(options);
  const given = connectionOptions(read, options.name);
  const where = read.natsUrl.map(withoutSecrets).join(", ");
  let nc: NatsConnection;
  try {
    nc = await connect({ ...given, waitOnFirstConnect: false, timeout: connectTimeoutMs, maxReconnectAttempts: 10 });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.toLowerCase() : "unknown";
    const text = why.includes("authorization")
      ? `NATS at ${where} refuses the login; set NATS_CREDS, NATS_NKEY, NATS_TOKEN, or NATS_USER and NATS_PASSWORD`
      : `NATS at ${where} cannot be reached (${why}); start it, or name another one by --server or NATS_URL`;
    throw new HandlerError(text, "unavailable", { cause });
  }
  return {
    nc,
    installation: installation(read.installation),
    config: read,
    [Symbol.asyncDispose]: async () => {
      if (nc.isClosed()) return;
      await nc.close();
    },
  };
}

/** A server's address without user and password. */
export function withoutSecrets(url: string): string {
  try {
    return `${new URL(url).protocol}//${new URL(url).host}`;
  } catch {
    return "the given address"; // config has refused what is no URL
  }
}
