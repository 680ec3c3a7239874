// Starts the echo service against a test server, as a process would: environment in, nothing shared but NATS.
import { defineConfig } from "../../src/config.ts";
import { startService, type RunningService } from "../../src/index.ts";
import { echo, type EchoLog } from "./echo.ts";

export const echoConfig = defineConfig({});

export function startEcho(
  natsUrl: string,
  { log, env = {} }: { log?: EchoLog; env?: Record<string, string> } = {},
): Promise<RunningService> {
  return startService(
    { name: "echo", config: echoConfig, services: () => [echo(log)] },
    { NATS_URL: natsUrl, HEALTH_PORT: "0", HEALTH_HOST: "127.0.0.1", LOG_LEVEL: "error", ...env },
  );
}
