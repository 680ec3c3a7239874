// Connections to one server: a round-robin pool of undici with our settings, loaded with the first request and not at start.
import type { RoundRobinPool } from "undici";
import { isRecord, numberOf } from "./json.ts";

export interface Connections {
  readonly pool: RoundRobinPool;
  /** Whether the connection that broke with this error had carried an answer before: then the request most likely never arrived. */
  readonly wasReused: (reason: unknown) => boolean;
}

/** A new replica behind a Service gets traffic after this at the latest, ms. */
const clientTtl = 60_000;
/** Below the 5 s after which uvicorn closes idle connections, ms. */
const keepAliveTimeout = 4_000;

export async function openConnections(
  origin: string,
  options: { connections: number; connectTimeoutMs: number },
): Promise<Connections> {
  const undici = await import("undici");
  const connect = undici.buildConnector({ timeout: options.connectTimeoutMs, allowH2: false });
  const bytesRead = new WeakMap<Error, number>();
  const pool = new undici.RoundRobinPool(origin, {
    connections: options.connections,
    keepAliveTimeout,
    clientTtl,
    headersTimeout: 0, // timers of our own: undici's tick every 500 ms and know no first token
    bodyTimeout: 0,
    connect: (target, callback) =>
      connect(target, (...result) => {
        const socket = result[1];
        socket?.once("error", (error: Error) => bytesRead.set(error, socket.bytesRead));
        callback(...result);
      }),
  });
  return {
    pool,
    wasReused(reason) {
      if (!(reason instanceof Error)) return false;
      const socket = "socket" in reason && isRecord(reason.socket) ? reason.socket : {}; // of undici's own SocketError
      return (numberOf(socket["bytesRead"]) ?? bytesRead.get(reason) ?? 0) > 0;
    },
  };
}
