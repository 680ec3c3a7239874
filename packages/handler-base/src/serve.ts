// Runs a service: its configuration, its life from start to stop, and what its author writes. assemble.ts puts the parts together.
import type { KV } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/nats-core";
import { assemble } from "./assemble.ts";
import type { BaseConfig, Config } from "./config.ts";
import type { Check } from "./health.ts";
import type { Implementation } from "./implement.ts";
import type { OnRequest } from "./inference/report.ts";
import { createLogger, type Logger } from "./log.ts";
import type { Middleware } from "./middleware.ts";
import type { Installation } from "./names.ts";
import { createShutdown, stopOnSignals } from "./shutdown.ts";
import { serviceStopping } from "./stopping.ts";
import { createTelemetry } from "./telemetry/index.ts";

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
  /** Stops in order; resolves when everything is closed. Idempotent, never rejects. */
  readonly stop: () => Promise<void>;
  /** Resolves when the service has stopped; rejects if the connection to NATS was closed for good though nobody stopped it. */
  readonly stopped: Promise<void>;
}

/** Time that is left after the stop for what heeds no signal, ms. */
const lingerMs = 1000;

/**
 * Runs a service until SIGTERM or SIGINT. Resolves when it has stopped; never rejects. What goes wrong is told in one line on stderr
 * (a ConfigError: one a problem), and the exit code is 1.
 */
export async function serve<T extends BaseConfig>(options: ServeOptions<T>): Promise<void> {
  try {
    await using service = await start(options, process.env, true);
    await service.stopped;
  } catch (error) {
    // A service that is told to stop before it was ready has done as it was told.
    if (error !== serviceStopping) {
      process.stderr.write(`${options.name}: ${error instanceof Error ? error.message : String(error)}\n`);
      process.exitCode = 1;
    }
  }
  // Whatever still runs has been told to end. A handler that does not heed its signal must not have the pod killed instead.
  setTimeout(() => process.exit(), lingerMs).unref();
}

/**
 * Starts a service; resolves when it is ready. Rejects with a ConfigError, or with what could not be reached or made; nothing is left
 * open then. Signals of the process are left alone: what tests, and programs with several services, use.
 */
export function startService<T extends BaseConfig>(
  options: ServeOptions<T>,
  source: Readonly<Record<string, string | undefined>> = process.env,
): Promise<RunningService> {
  return start(options, source, false);
}

async function start<T extends BaseConfig>(
  options: ServeOptions<T>,
  source: Readonly<Record<string, string | undefined>>,
  onSignals: boolean,
): Promise<RunningService> {
  const { name, version = "0.0.0" } = options;
  const config = options.config.read(source);
  const instanceId = crypto.randomUUID();
  const fields = { service: name, instance: instanceId };
  const telemetry = createTelemetry({
    name,
    version,
    config,
    instanceId,
    log: createLogger({ level: config.logLevel, fields }),
  });
  const log = createLogger({ level: config.logLevel, fields, sink: telemetry.logSink });
  const shutdown = createShutdown({ graceMs: config.shutdownGrace, log });
  using signals = new DisposableStack();
  if (onSignals) signals.use(stopOnSignals(shutdown, log));
  try {
    const stopBegan = new Promise<void>((resolve) => {
      shutdown.signal.addEventListener("abort", () => resolve(), { once: true });
    });
    const assembling = assemble({ ...options, version, config, instanceId, telemetry, log, shutdown });
    await Promise.race([assembling, stopBegan]); // a server that does not answer must not hold up a stop
    if (shutdown.phase !== "running") {
      assembling.catch(() => undefined); // its connection is closed
      throw serviceStopping;
    }
    const { nc, healthUrl } = await assembling;
    log.info({ version, health: healthUrl }, "ready");
    void telemetry.start();
    const listening = signals.move();
    const stopped = Promise.race([nc.closed(), stopBegan]).then(async (error) => {
      // Closed though nobody stops: the client has given up (credentials revoked, for example). The pod must start anew.
      const unexpected = shutdown.phase === "running";
      await shutdown.stop();
      listening.dispose();
      if (unexpected) throw new Error(`the connection to NATS was closed${error ? `: ${error.message}` : ""}`);
    });
    stopped.catch(() => undefined); // told to whoever awaits it
    const stop = async () => {
      await shutdown.stop();
      await Promise.allSettled([stopped]);
    };
    return { healthUrl, stop, stopped, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await shutdown.stopNow();
    throw error;
  }
}
