// Finds out in the background whether a server that failed is back, so that no call has to try it out while another server works.
import { HandlerError } from "../error.ts";
import type { Endpoint } from "./endpoint.ts";
import { createWatch } from "./watch.ts";

const probeTimeoutMs = 5_000;

/** Asks the server once, as the holder of its circuit's trial, and tells the circuit. Any answer below 500 counts: not every server knows the path. Never throws. */
export async function probe(
  endpoint: Endpoint,
  options: { path: string; headers: Readonly<Record<string, string>>; signal: AbortSignal },
): Promise<void> {
  using watch = createWatch({
    signal: options.signal,
    deadline: Date.now() + probeTimeoutMs,
    what: endpoint.name,
  });
  try {
    const outcome = await endpoint.exchange(
      { method: "GET", path: options.path, headers: options.headers, body: undefined, allow: [] },
      watch,
    );
    if ("reply" in outcome) await outcome.reply[Symbol.asyncDispose]();
    const failure = "failure" in outcome ? outcome.failure : undefined;
    const alive =
      failure === undefined ||
      ["invalid_argument", "not_found", "unauthenticated", "permission_denied"].includes(failure.error.code);
    if (alive) endpoint.circuit.probed();
    else endpoint.circuit.failed(true);
  } catch (reason) {
    // Only the watch's own reason comes here: closed clients need no verdict, a silent server is still down.
    if (HandlerError.from(reason).code === "canceled") endpoint.circuit.abandon(true);
    else endpoint.circuit.failed(true);
  }
}
