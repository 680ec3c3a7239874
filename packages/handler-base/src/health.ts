// The health server: what Kubernetes, KEDA and Prometheus ask a service. Plain HTTP, GET only.
//
//   /livez     200 as long as the event loop turns
//   /startupz  200 once the service has started
//   /readyz    200 if every check passes, else 503; the body names the failing ones
//   /load      JSON for KEDA's metrics-api scaler: in_flight, queued, capacity, saturation = (in_flight + queued) / capacity
//   /metrics   Prometheus text
//
// I1  Nothing that it is asked can hold up the service: connections, headers and times are bounded, bodies are not read.
// I2  A new connection is always taken, in place of the oldest if there are too many: a probe that found no room would get the pod killed.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** What is wrong, in a few words, or undefined if nothing is. Called at each probe: cheap, no waiting, no throwing. */
export type Check = () => string | undefined;

export interface Load {
  readonly inFlight: number;
  readonly queued: number;
  /** Calls that may be in flight. */
  readonly capacity: number;
}

export interface HealthOptions {
  /** Default `0.0.0.0`. */
  readonly host?: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** By name. May grow and shrink while the server runs. */
  readonly checks: ReadonlyMap<string, Check>;
  readonly started: () => boolean;
  readonly load: () => Load;
  /** Prometheus text. */
  readonly metrics: () => string;
}

export interface Health extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  /** Closes the port and every connection. Idempotent. */
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** Resolves when the port is open; rejects with the system's error where it cannot be. */
export async function startHealth(options: HealthOptions): Promise<Health> {
  const { host = "0.0.0.0" } = options;
  const server = createServer(
    {
      maxHeaderSize: 8192,
      headersTimeout: 5000,
      requestTimeout: 5000,
      keepAliveTimeout: 15_000,
      connectionsCheckingInterval: 1000, // how often these times are looked at
    },
    (request, response) => {
      respond(options, request, response);
    },
  );
  keepNewest(server);
  await listen(server, options.port, host);
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the health server has no port");
  const { port } = address;
  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= new Promise<void>((resolve) => {
      server.close(() => {
        resolve();
      });
      server.closeAllConnections();
    });
    return closed;
  };
  return {
    port,
    url: `http://${host === "0.0.0.0" ? "127.0.0.1" : host.includes(":") ? `[${host}]` : host}:${port}`,
    close,
    [Symbol.asyncDispose]: close,
  };
}

const mostConnections = 64;

/** I2 */
function keepNewest(server: Server): void {
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    const [oldest] = open;
    if (oldest && open.size >= mostConnections) {
      open.delete(oldest);
      oldest.destroy();
    }
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  });
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function respond(options: HealthOptions, request: IncomingMessage, response: ServerResponse): void {
  const { status, type, body } = answer(options, request);
  response.writeHead(status, {
    "Content-Type": type,
    "Content-Length": Buffer.byteLength(body),
    "Cache-Control": "no-store",
    // I1: a body is not read, so its connection cannot be used again.
    ...(hasBody(request) ? { Connection: "close" } : {}),
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

function answer(options: HealthOptions, { method, url = "" }: IncomingMessage): Answer {
  if (method !== "GET" && method !== "HEAD") return json(405, { error: "only GET is answered" });
  switch (url.split("?", 1)[0]) {
    case "/livez":
      return json(200, { status: "ok" });
    case "/startupz":
      return options.started() ? json(200, { status: "ok" }) : json(503, { status: "starting" });
    case "/readyz":
      return readiness(options);
    case "/load":
      return json(200, loadOf(options.load()));
    case "/metrics":
      return { status: 200, type: "text/plain; version=0.0.4; charset=utf-8", body: options.metrics() };
    default:
      return json(404, { error: "ask for /livez, /readyz, /startupz, /load or /metrics" });
  }
}

function readiness({ checks, started }: HealthOptions): Answer {
  const failing: Record<string, string> = {};
  if (!started()) failing["start"] = "the service has not started yet";
  for (const [name, check] of checks) {
    const problem = check();
    if (problem !== undefined) failing[name] = problem;
  }
  return Object.keys(failing).length === 0
    ? json(200, { status: "ok", checks: [...checks.keys()] })
    : json(503, { status: "not ready", failing });
}

function loadOf({ inFlight, queued, capacity }: Load) {
  return { in_flight: inFlight, queued, capacity, saturation: capacity > 0 ? (inFlight + queued) / capacity : 0 };
}

const hasBody = ({ headers }: IncomingMessage): boolean =>
  "transfer-encoding" in headers || (headers["content-length"] ?? "0") !== "0";

const json = (status: number, value: unknown): Answer => ({
  status,
  type: "application/json",
  body: `${JSON.stringify(value)}\n`,
});
