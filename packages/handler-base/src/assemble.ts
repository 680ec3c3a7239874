// Puts a service together: connection, implementations, provisioning, both ways to call it, discovery, health. Wiring only; the order of
// the parts is the order of the start, and the reverse of how they are closed.
import { Kvm } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/nats-core";
import { openAnswers } from "./answers/open.ts";
import { bind } from "./bind.ts";
import { createClaimCheck } from "./claim-check.ts";
import type { BaseConfig } from "./config.ts";
import { openConnection } from "./connection.ts";
import { openDurablePath } from "./delivery/open.ts";
import { openDiscovery } from "./discovery.ts";
import { createDispatcher, type Observer } from "./dispatch.ts";
import { startHealth, type Check, type Load } from "./health.ts";
import { createClock } from "./live-call.ts";
import type { Logger } from "./log.ts";
import { compose } from "./middleware.ts";
import { installation, names } from "./names.ts";
import { patiently } from "./patience.ts";
import { environmentOf } from "./provision/configured.ts";
import { provision, requireProvisioned } from "./provision/index.ts";
import { createPublisher } from "./publisher.ts";
import type { ServeOptions } from "./serve.ts";
import type { Shutdown } from "./shutdown.ts";
import type { Telemetry } from "./telemetry/index.ts";
import { prepareValidation } from "./validation.ts";
import { createEventWay } from "./ways/event-way.ts";
import { openRequestWays } from "./ways/request-ways.ts";

export interface AssembleOptions<T extends BaseConfig> extends Omit<ServeOptions<T>, "config"> {
  readonly version: string;
  readonly config: Readonly<T>;
  readonly instanceId: string;
  readonly telemetry: Telemetry;
  readonly log: Logger;
  readonly shutdown: Shutdown;
}

/** Resolves when the service takes calls. Everything that was opened has joined the shutdown, also when it rejects. */
export async function assemble<T extends BaseConfig>(
  options: AssembleOptions<T>,
): Promise<{ nc: NatsConnection; healthUrl: string }> {
  const { name, version, config, middleware = [], services, instanceId, telemetry, log, shutdown } = options;
  const at = installation(config.installation);
  const own = names(at);
  const checks = new Map<string, Check>([
    ["shutdown", () => (shutdown.phase === "running" ? undefined : shutdown.phase)],
  ]);
  let load: Load | undefined;
  const listening = startHealth({
    host: config.healthHost,
    port: config.healthPort,
    checks,
    started: () => load !== undefined,
    load: () => load ?? { inFlight: 0, queued: 0, capacity: 0 },
    metrics: telemetry.prometheus,
  });
  const connecting = openConnection(config, name, shutdown.signal);
  shutdown.add({ name: "health", close: () => listening.then((health) => health.close(), nothing) });
  shutdown.add({ name: "connection", close: () => connecting.then(closeConnection, nothing) });
  const [health, nc] = await Promise.all([listening, connecting]);
  shutdown.add({ name: "telemetry", close: (signal) => telemetry.close(signal) });

  const provisioned = Promise.withResolvers<void>();
  const implementations = await services({
    config,
    log,
    nc,
    installation: at,
    signal: shutdown.signal,
    bucket: async (bucket) => {
      await provisioned.promise;
      return await new Kvm(nc).open(own.bucket.own(bucket));
    },
    onRequest: telemetry.onRequest,
    onClose: (what, close) => shutdown.add({ name: what, close }),
    check: (what, check) => checks.set(what, check),
  });
  const overrides = { concurrency: config.concurrency, ackWaitMs: config.ackWait };
  const bound = implementations.map((implementation) => bind(implementation, at, overrides));
  const contracts = bound.map(({ contract }) => contract);
  const methods = bound.flatMap((service) => service.methods);
  const stranger = contracts.find(({ handler }) => handler !== name);
  if (stranger) throw new Error(`${stranger.desc.typeName} belongs to the handler ${stranger.handler}, not to ${name}`);

  const provisionAll = async (signal: AbortSignal) => {
    const environment = environmentOf(config, contracts);
    return requireProvisioned(await provision(nc, contracts, at, { mode: config.provision, environment, signal }));
  };
  const { adopted } = await provisionAll(shutdown.signal);
  provisioned.resolve();

  const clock = createClock();
  const publisher = createPublisher(nc);
  const claimCheck = createClaimCheck(nc, own);
  const parts = { nc, installation: at, names: own, clock, publisher, claimCheck, contracts, methods, adopted, log };
  const answers = await openAnswers(parts);
  const discovery = await openDiscovery({
    nc,
    name,
    version,
    id: instanceId,
    installation: at,
    services: bound,
    queue: own.queue,
    log,
  });
  shutdown.add({ name: "discovery", stopAccepting: () => discovery.close() });
  const observer: Observer = {
    around: telemetry.observer.around,
    ended(incoming, call, outcome, durationMs) {
      telemetry.observer.ended(incoming, call, outcome, durationMs);
      discovery.ended(incoming, call, outcome, durationMs);
    },
  };
  const dispatcher = createDispatcher({
    ...parts,
    ...answers,
    middleware: middleware.length > 0 ? compose(middleware) : undefined,
    observer,
  });

  const durable = await openDurablePath({
    ...parts,
    handler: name,
    dispatcher,
    way: createEventWay({ ...parts, ...answers }),
    recreate: async (signal) => void (await provisionAll(signal)),
  });
  shutdown.add({ name: "consumers", ...durable });
  checks.set("nats", () => (durable.connected ? undefined : "not connected"));
  checks.set("consumers", () =>
    durable.unhealthy.length > 0 ? `not fed: ${durable.unhealthy.join(", ")}` : undefined,
  );

  const requests = openRequestWays(methods, { ...parts, dispatcher, queue: own.queue });
  shutdown.add({ name: "request subjects", ...requests });
  await nc.flush();

  load = {
    get inFlight() {
      return dispatcher.inFlight;
    },
    get queued() {
      return requests.queued();
    },
    capacity: durable.capacity + requests.capacity,
  };
  setImmediate(() => void prepareValidation(methods.map(({ input }) => input))); // readiness must not wait for it
  return { nc, healthUrl: health.url };
}

/** What could not be opened has said so, and needs no closing. */
const nothing = () => undefined;

async function closeConnection(nc: NatsConnection): Promise<void> {
  await patiently(nc.flush()); // a server that is away cannot be told any more
  await nc.close();
}
