// A service from its parts: configuration, connection, provisioning, both ways to call it, health, and a stop in order. Wiring only.
import { Kvm, type KV } from "@nats-io/kv";
import { nuid, type NatsConnection } from "@nats-io/nats-core";
import { openAnswers } from "./answers/open.ts";
import { bind } from "./bind.ts";
import type { Method } from "./call.ts";
import { createClaimCheck } from "./claim-check.ts";
import { type BaseConfig, type Config } from "./config.ts";
import { connectionCheck, openConnection } from "./connection.ts";
import { openDurablePath } from "./delivery/open.ts";
import { openDiscovery } from "./discovery.ts";
import { createDispatcher, type Observer } from "./dispatch.ts";
import { createEventWay } from "./event-way.ts";
import { startHealth, type Check } from "./health.ts";
import type { Implementation } from "./implement.ts";
import type { OnRequest } from "./inference/report.ts";
import { createClock } from "./live-call.ts";
import { createLogger, type Logger } from "./log.ts";
import { compose, type Middleware } from "./middleware.ts";
import { installation, names as namesOf, type Installation } from "./names.ts";
import { provision, requireProvisioned } from "./provision/index.ts";
import { createPublisher } from "./publisher.ts";
import { openRequestWay } from "./request-way.ts";
import { createShutdown, stopOnSignals, type Shutdown } from "./shutdown.ts";
import { serviceStopping } from "./stopping.ts";
import { createTelemetry, type Telemetry } from "./telemetry/index.ts";
import { loadValidator } from "./validation.ts";

export interface ServeOptions<T extends BaseConfig> {
  /** Name of the handler in the contract. */
  readonly name: string;
  /** Default `0.0.0`. */
  readonly version?: string;
  readonly config: Config<T>;
  /** Around every call; the first is the outermost. */
  readonly middleware?: readonly Middleware[];
  /** Makes the implementations. Called once, after the connection is up. */
  readonly services: (deps: ServiceDeps<T>) => readonly Implementation[] | Promise<readonly Implementation[]>;
}

/** What a service's own parts are made from. */
export interface ServiceDeps<T> {
  readonly config: Readonly<T>;
  readonly log: Logger;
  readonly nc: NatsConnection;
  readonly installation: Installation;
  /** Aborts when the stop begins. */
  readonly signal: AbortSignal;
  /** One of the buckets that the contract gives the service. Resolves after provisioning: awaiting it inside `services` would wait for ever. */
  readonly bucket: (name: string) => Promise<KV>;
  /** For inference clients: spans, metrics and trace headers of their requests. */
  readonly onRequest: OnRequest;
  /** Closes something with the service, in reverse order of these calls, after the last call has ended. */
  readonly onClose: (name: string, close: () => Promise<void> | void) => void;
  /** Adds a readiness check. */
  readonly check: (name: string, check: Check) => void;
}

export interface RunningService extends AsyncDisposable {
  readonly healthUrl: string;
  /** Stops in order; resolves when everything is closed. Idempotent. */
  readonly stop: () => Promise<void>;
  /** Resolves when the service has stopped; rejects if the connection to NATS was closed for good. */
  readonly stopped: Promise<void>;
}

/**
 * Runs a service until SIGTERM or SIGINT. Resolves when it has stopped; never rejects. What goes wrong at the start is one line on
 * stderr (a ConfigError: one a problem), and the exit code is 1.
 */
export async function serve<T extends BaseConfig>(options: ServeOptions<T>): Promise<void> {
  try {
    const service = await startService(options, process.env, (shutdown, log) => stopOnSignals(shutdown, log));
    await service.stopped;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${options.name}: ${text}\n`);
    process.exitCode = 1;
  }
}

/**
 * Starts a service; resolves when it is ready. Rejects with a ConfigError, or with what could not be reached or made; nothing is left
 * open then.
 */
export async function startService<T extends BaseConfig>(
  options: ServeOptions<T>,
  source: Readonly<Record<string, string | undefined>> = process.env,
  onStart: (shutdown: Shutdown, log: Logger) => Disposable | undefined = () => undefined,
): Promise<RunningService> {
  const config = options.config.read(source);
  const { name, version = "0.0.0" } = options;
  const lines = { level: config.logLevel, fields: { service: name } };
  const instanceId = nuid.next();
  const telemetry = createTelemetry({ name, version, config, instanceId, log: createLogger(lines) });
  const log = createLogger({ ...lines, sink: telemetry.logSink });
  const shutdown = createShutdown({ graceMs: config.shutdownGrace, log });
  shutdown.add({ name: "telemetry", close: (signal) => telemetry.close(signal) });
  const listening = onStart(shutdown, log);
  try {
    return await start(options, { config, log, shutdown, telemetry, instanceId, listening });
  } catch (error) {
    await shutdown.stopNow();
    listening?.[Symbol.dispose]();
    throw error;
  }
}

interface Foundation<T> {
  readonly config: Readonly<T>;
  readonly log: Logger;
  readonly shutdown: Shutdown;
  readonly telemetry: Telemetry;
  readonly instanceId: string;
  readonly listening: Disposable | undefined;
}

async function start<T extends BaseConfig>(
  { name, version = "0.0.0", middleware = [], services }: ServeOptions<T>,
  { config, log, shutdown, telemetry, instanceId, listening }: Foundation<T>,
): Promise<RunningService> {
  const at = installation(config.installation);
  const own = namesOf(at);
  const checks = new Map<string, Check>();
  let started = false;
  const ways: ReturnType<typeof openRequestWay>[] = [];

  const nc = await openConnection(config, name);
  shutdown.add({
    name: "connection",
    close: async () => {
      await nc.flush().catch(() => undefined); // a server that is away cannot be told any more
      await nc.close();
    },
  });
  checks.set("nats", connectionCheck(nc));
  checks.set("stop", () => (shutdown.phase === "running" ? undefined : shutdown.phase));

  const provisioned = Promise.withResolvers<void>();
  provisioned.promise.catch(() => undefined); // a service without buckets of its own never asks
  const implementations = await services({
    config,
    log,
    nc,
    installation: at,
    signal: shutdown.signal,
    bucket: async (bucket) => {
      await provisioned.promise;
      return new Kvm(nc).open(own.bucket.own(bucket));
    },
    onRequest: telemetry.onRequest,
    onClose: (what, close) => shutdown.add({ name: what, close }),
    check: (what, check) => checks.set(what, check),
  });
  const bound = implementations.map((one) =>
    bind(one, at, { concurrency: config.concurrency, ackWaitMs: config.ackWait }),
  );
  const contracts = bound.map(({ contract }) => contract);
  const methods: readonly Method[] = bound.flatMap((one) => one.methods);
  const stranger = contracts.find(({ handler }) => handler !== name);
  if (stranger) throw new Error(`${stranger.desc.typeName} belongs to the handler ${stranger.handler}, not to ${name}`);

  const provisionAll = async (signal: AbortSignal) =>
    requireProvisioned(
      await provision(nc, contracts, at, {
        mode: config.provision,
        environment: {
          maxReplicas: config.maxReplicas,
          ...(config.streamReplicas !== undefined && { copies: config.streamReplicas }),
          ...(config.streamStorage !== undefined && { storage: config.streamStorage }),
        },
        signal,
      }),
    );
  const { adopted } = await provisionAll(shutdown.signal);
  provisioned.resolve();

  const clock = createClock();
  const publisher = createPublisher(nc);
  const claimCheck = createClaimCheck(nc, own);
  const { once, ordering, frames } = await openAnswers({
    nc,
    installation: at,
    clock,
    contracts,
    methods,
    adopted,
    publisher,
    claimCheck,
    log,
  });
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
    ended(...end) {
      discovery.ended(...end);
      telemetry.observer.ended(...end);
    },
  };
  const dispatcher = createDispatcher({
    middleware: compose(middleware),
    once,
    ordering,
    observer,
    claimCheck,
    clock,
    log,
  });
  const sinks = { nc, names: own, clock, claimCheck };

  const durable = await openDurablePath({
    nc,
    handler: name,
    methods,
    adopted,
    names: own,
    dispatcher,
    way: createEventWay({ ...sinks, frames, durablePrefix: own.durable("") }),
    publisher,
    recreate: async (signal) => void (await provisionAll(signal)),
    log,
  });
  shutdown.add({
    name: "consumers",
    stopAccepting: () => durable.stopAccepting(),
    drain: (signal) => durable.drain(signal),
    close: () => durable.close(),
  });
  checks.set("consumers", () =>
    durable.unhealthy.length > 0 ? `not fed: ${durable.unhealthy.join(", ")}` : undefined,
  );

  ways.push(...methods.map((method) => openRequestWay(method, { ...sinks, dispatcher, queue: own.queue, log })));
  shutdown.add({
    name: "request subjects",
    stopAccepting: async () => void (await Promise.all(ways.map((way) => way.stopAccepting()))),
    drain: async () => void (await Promise.all(ways.map((way) => way.idle()))),
    abort: () => {
      for (const way of ways) way.refuseQueued(serviceStopping);
      dispatcher.abortAll(serviceStopping);
    },
  });
  await nc.flush();

  const capacity = [...durable.consumers.map(({ slots }) => slots), ...ways.map((way) => way.capacity)].reduce(
    (sum, one) => sum + one,
    0,
  );
  const health = await startHealth({
    host: config.healthHost,
    port: config.healthPort,
    checks,
    started: () => started,
    load: () => ({
      inFlight: dispatcher.inFlight,
      queued: ways.reduce((sum, { queued }) => sum + queued, 0),
      capacity,
    }),
    metrics: telemetry.prometheus,
  });
  shutdown.add({ name: "health", close: () => health.close() });

  started = true;
  log.info({ version, health: health.url }, "ready");
  void loadValidator(); // the first request must not wait for it
  void telemetry.start();
  return running(nc, shutdown, health.url, listening);
}

function running(
  nc: NatsConnection,
  shutdown: Shutdown,
  healthUrl: string,
  listening: Disposable | undefined,
): RunningService {
  const stopped = nc.closed().then(async (error) => {
    // Closed though nobody stops: the client has given up (credentials revoked, for example). The pod must start anew.
    const unexpected = shutdown.phase === "running";
    await shutdown.stop();
    listening?.[Symbol.dispose]();
    if (unexpected) throw new Error(`the connection to NATS was closed${error ? `: ${error.message}` : ""}`);
  });
  stopped.catch(() => undefined); // told to whoever awaits it
  const stop = async () => {
    await shutdown.stop();
    await stopped.catch(() => undefined);
  };
  return { healthUrl, stop, stopped, [Symbol.asyncDispose]: stop };
}
