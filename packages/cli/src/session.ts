// What every command that talks to NATS begins with: its options, the services that it knows, the connection.
import {
  connectTool,
  openCatalogue,
  toolConfig,
  installation,
  type Catalogue,
  type Tool,
} from "@pipeline/handler-base/operations";
import { knownServices } from "./registry.ts";

export const sessionOptions = {
  server: { type: "string" },
  installation: { type: "string" },
  "proto-module": { type: "string" },
} as const;

export const sessionUsage = `  --server URL         NATS server; default NATS_URL or nats://127.0.0.1:4222
  --installation NAME  prefix of subjects, streams and buckets; default INSTALLATION
  --proto-module FILE  generated module with services besides those of @pipeline/messages

Credentials come from the variables of the services: NATS_CREDS, NATS_NKEY, NATS_TOKEN, NATS_USER and NATS_PASSWORD, NATS_TLS_*.`;

export interface SessionValues {
  readonly server?: string | undefined;
  readonly installation?: string | undefined;
  readonly "proto-module"?: string | undefined;
}

/** The services in the chosen installation. Asks no server. */
export async function catalogueFor(values: SessionValues): Promise<Catalogue> {
  const services = await knownServices(values["proto-module"]);
  return openCatalogue(services, installation(toolConfig(values).installation));
}

/** The connection. Rejects in one sentence where there is none. */
export function connectFor(command: string, { server, installation: name }: SessionValues): Promise<Tool> {
  return connectTool({ name: `handlers ${command}`, server, installation: name });
}
