// The connection to NATS as a service needs it: it never gives up, notices a dead server within a minute, and never ends the process by itself.
import { credsAuthenticator, nkeyAuthenticator, type ConnectionOptions, type NatsConnection } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import type { BaseConfig } from "./config.ts";

/** Connects, waiting for the first server to appear. `name` is shown in the server's monitoring. Rejects with the signal's reason. */
export async function openConnection(config: BaseConfig, name: string, signal: AbortSignal): Promise<NatsConnection> {
  signal.throwIfAborted();
  const connecting = connect(connectionOptions(config, name));
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([connecting, aborted.promise]);
  } catch (reason) {
    // The client cannot be told to give up: a connection that comes too late is closed.
    void connecting.then(
      (late) => late.close(),
      () => undefined,
    );
    throw reason;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** What the connection of a service is made with; tools change what does not suit them. */
export function connectionOptions(config: BaseConfig, name: string): ConnectionOptions {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const tls = {
    ...(config.natsTlsCaFile !== undefined && { caFile: config.natsTlsCaFile }),
    ...(config.natsTlsCertFile !== undefined && { certFile: config.natsTlsCertFile }),
    ...(config.natsTlsKeyFile !== undefined && { keyFile: config.natsTlsKeyFile }),
  };
  return {
    servers: [...config.natsUrl],
    name,
    maxReconnectAttempts: -1,
    waitOnFirstConnect: true,
    reconnectTimeWait: 250,
    reconnectJitter: 250,
    pingInterval: 20_000,
    noAsyncTraces: true,
    ...loginIn(config.natsUrl),
    ...(config.natsToken !== undefined && { token: config.natsToken }),
    ...(config.natsUser !== undefined && { user: config.natsUser, pass: config.natsPassword ?? "" }),
    ...(config.natsCreds !== undefined && { authenticator: credsAuthenticator(bytes(config.natsCreds)) }),
    ...(config.natsNkey !== undefined && { authenticator: nkeyAuthenticator(bytes(config.natsNkey)) }),
    ...(Object.keys(tls).length > 0 && { tls }),
  };
}

/** `nats://user:password@host` and `nats://token@host`, as other clients take them: the client library drops them. */
function loginIn(urls: readonly string[]): { user: string; pass: string } | { token: string } | undefined {
  const url = urls.map((text) => URL.parse(text)).find((one) => one !== null && one.username !== "");
  if (!url) return undefined;
  const [name, pass] = [url.username, url.password].map(decodeURIComponent);
  return pass ? { user: name ?? "", pass } : { token: name ?? "" };
}
