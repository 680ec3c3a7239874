// NATS: reachable, new enough, JetStream on and with room, and everything in it as the contracts want it.
import { jetstreamManager, type JetStreamAccountStats, type JetStreamManager } from "@nats-io/jetstream";
import {
  connectTool,
  contractsOf,
  environmentOf,
  openCatalogue,
  provision,
  requireServer,
  type Entry,
  type ServiceContract,
  type Tool,
} from "@pipeline/handler-base/operations";
import { knownServices } from "../registry.ts";
import type { SessionValues } from "../session.ts";
import { isProvisioned } from "../provisioned.ts";
import { error, ok, warning, type Finding } from "./finding.ts";

/** `services`: those that must be there; without any, those that were provisioned at all. */
export async function nats(
  values: SessionValues,
  services: readonly string[],
  signal: AbortSignal,
): Promise<Finding[]> {
  let tool: Tool;
  try {
    tool = await connectTool({ name: "handlers doctor", server: values.server, installation: values.installation });
  } catch (reason) {
    const [what = "", ...fixes] = text(reason).split("; ");
    // Nobody named a server: on a machine where nothing was started yet that is no fault.
    const named = values.server !== undefined || process.env["NATS_URL"];
    return [(named ? error : warning)(what, named ? fixes.join("; ") : "start one with: handlers up")];
  }
  await using connected = tool;
  const { nc } = connected;
  const version = nc.info?.version ?? "of unknown version";
  const found: Finding[] = [];
  try {
    requireServer(nc.info?.version);
    found.push(ok(`nats-server ${version}${nc.info?.cluster === undefined ? "" : ` in cluster ${nc.info.cluster}`}`));
  } catch (reason) {
    return [error(text(reason), "update nats-server")];
  }
  let jsm: JetStreamManager;
  try {
    jsm = await jetstreamManager(nc, { timeout: 10_000 });
    found.push(...account(await jsm.getAccountInfo()));
  } catch (reason) {
    return [
      ...found,
      error(`JetStream does not answer (${text(reason)})`, "start nats-server with -js and enable it for the account"),
    ];
  }
  const catalogue = openCatalogue(await knownServices(values["proto-module"]), connected.installation);
  const byHandler = Map.groupBy(contractsOf(catalogue, services), ({ handler }) => handler);
  const absent: string[] = [];
  for (const [handler, contracts] of byHandler) {
    const findings = await service(connected, handler, contracts, signal);
    if (findings !== undefined) found.push(...findings);
    else if (services.length === 0) absent.push(handler);
    else found.push(error(`${handler} is not provisioned`, `run: handlers provision ${handler}`));
  }
  if (absent.length > 0) found.push(ok(`not provisioned: ${absent.join(", ")}`));
  return found;
}

const nearlyFull = 0.9;

function account({ storage, memory, streams, limits, tiers }: JetStreamAccountStats): Finding[] {
  if (tiers !== undefined) return [ok(`JetStream is on, with limits by tier`)];
  const rooms = [
    ["storage", storage, limits.max_storage],
    ["memory", memory, limits.max_memory],
    ["streams", streams, limits.max_streams],
  ] as const;
  const full = rooms.filter(([, used, limit]) => limit > 0 && used > nearlyFull * limit);
  if (full.length === 0) return [ok("JetStream is on and has room")];
  return full.map(([what, used, limit]) =>
    warning(`the account uses ${used} of ${limit} of its ${what}`, "raise the limit, or let streams keep less"),
  );
}

/** Undefined where the service was never provisioned. */
async function service(
  { nc, config, installation }: Tool,
  handler: string,
  contracts: readonly ServiceContract[],
  signal: AbortSignal,
): Promise<Finding[] | undefined> {
  const options = { mode: "check", environment: environmentOf(config, contracts), signal } as const;
  const { entries } = await provision(nc, contracts, installation, options);
  if (!isProvisioned(entries)) return undefined;
  const findings = entries.flatMap((entry) => entryFindings(handler, entry));
  const good = findings.every(({ level }) => level !== "error");
  return [...(good ? [ok(`${handler}: streams and consumers are as the contract wants them`)] : []), ...findings];
}

function entryFindings(handler: string, { kind, name, action, details }: Entry): Finding[] {
  const what = `${handler}: ${kind} ${name} ${details.join(", ")}`;
  switch (action) {
    case "conflict":
      return [error(what, "see handlers provision --help; nothing is changed while this stands")];
    case "drift":
      return [error(what, `run: handlers provision ${handler}`)];
    case "ok":
      return details.length === 0 ? [] : [warning(what, "raise its replicas (STREAM_REPLICAS, or nats stream edit)")];
    case "adopted":
      return [ok(what)];
    case "created":
    case "updated":
      return [];
    default:
      return unreachable(action);
  }
}

const text = (reason: unknown) => (reason instanceof Error ? reason.message : String(reason));

function unreachable(action: never): never {
  throw new Error(`unknown action ${String(action)}`);
}
