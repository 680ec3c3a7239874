// `handlers provision`: streams, buckets and consumers as the contracts want them.
import {
  contractsOf,
  environmentOf,
  provision as bring,
  reportLines,
  type Environment,
  type Mode,
  type Report,
  type ServiceContract,
} from "@pipeline/handler-base/operations";
import { isProvisioned } from "../provisioned.ts";
import { catalogueFor, connectFor, sessionOptions, sessionUsage } from "../session.ts";
import { numberOption, parse, UsageError, type Command } from "../usage.ts";

const usage = `handlers provision: make the streams, buckets and consumers that services need

Usage: handlers provision [SERVICE…] [--check | --bind] [OPTIONS]

Without SERVICE all services of the contract. A second run changes nothing. Exit code 1 on a conflict, and with --check also on a drift.
With --check and without SERVICE, services of which nothing is there are left out where others are provisioned.

  --check                 only tell what would be changed
  --bind                  change nothing and tell whether the services can work with what is there
  --json                  the report as one JSON document
  --max-replicas N        most replicas of one service that run at once; default MAX_REPLICAS or 10
  --concurrency N         calls of every method that one replica runs at once; METHOD=N for one method, any number of times.
                          Default CONCURRENCY or the contract's
  --ack-wait SECONDS      time after which an event that nobody works on is delivered again; default ACK_WAIT or the contract's
  --copies N              copies of each stream on a cluster; default STREAM_REPLICAS or the contract's
  --storage file|memory   where streams are kept; default STREAM_STORAGE or the contract's
${sessionUsage}`;

export const provision: Command = {
  summary: "make the streams, buckets and consumers that services need, or check them",
  usage,
  async run(args, signal) {
    const { values, positionals } = parse(
      args,
      {
        ...sessionOptions,
        check: { type: "boolean" },
        bind: { type: "boolean" },
        json: { type: "boolean" },
        "max-replicas": { type: "string" },
        concurrency: { type: "string", multiple: true },
        "ack-wait": { type: "string" },
        copies: { type: "string" },
        storage: { type: "string" },
      },
      usage,
    );
    if (values.check && values.bind) throw new UsageError("--check and --bind exclude each other");
    const mode: Mode = values.check ? "check" : values.bind ? "bind" : "apply";
    const catalogue = await catalogueFor(values);
    const named = contractsOf(catalogue, positionals);
    await using tool = await connectFor("provision", values);
    const settings = (some: readonly ServiceContract[]) => withOptions(values, environmentOf(tool.config, some));
    settings(named); // a wrong option is said before anything is asked
    const absent =
      mode === "check" && positionals.length === 0
        ? await absentHandlers(named, (some) =>
            bring(tool.nc, some, catalogue.at, { mode, environment: environmentOf(tool.config, some), signal }),
          )
        : [];
    const contracts = named.filter(({ handler }) => !absent.includes(handler));
    const environment = settings(contracts);
    const report = await bring(tool.nc, contracts, catalogue.at, { mode, environment, signal });
    if (values.json) {
      const document = {
        ok: report.ok,
        adopted: Object.fromEntries(report.adopted),
        notProvisioned: absent,
        entries: report.entries,
      };
      process.stdout.write(`${JSON.stringify(document)}\n`);
    } else {
      if (absent.length > 0) process.stdout.write(`not provisioned: ${absent.join(", ")}\n`);
      for (const line of reportLines(report)) process.stdout.write(`${line}\n`);
      const count = report.entries.filter(({ action }) => action === "ok").length;
      process.stdout.write(`${count} of ${report.entries.length} are as the contract says\n`);
    }
    const drifted = mode === "check" && report.entries.some(({ action }) => action === "drift");
    return report.ok && !drifted ? 0 : 1;
  },
};

/** Handlers of which nothing is there, next to some that are; where there is none at all, all are wanted. */
async function absentHandlers(
  contracts: readonly ServiceContract[],
  check: (contracts: readonly ServiceContract[]) => Promise<Report>,
): Promise<readonly string[]> {
  const byHandler = Map.groupBy(contracts, ({ handler }) => handler);
  const absent: string[] = [];
  for (const [handler, own] of byHandler) if (!isProvisioned((await check(own)).entries)) absent.push(handler);
  return absent.length < byHandler.size ? absent : [];
}

interface Values {
  readonly "max-replicas"?: string | undefined;
  readonly concurrency?: readonly string[] | undefined;
  readonly "ack-wait"?: string | undefined;
  readonly copies?: string | undefined;
  readonly storage?: string | undefined;
}

/** Options before variables before the contract. */
function withOptions(values: Values, base: Environment): Environment {
  const { storage } = values;
  if (storage !== undefined && storage !== "file" && storage !== "memory") {
    throw new UsageError("--storage is file or memory");
  }
  const methods = base.methods ?? {};
  const concurrency = concurrencyOf(values.concurrency ?? [], Object.keys(methods));
  const ackWaitMs = optional("ack-wait", values["ack-wait"], 3600, (seconds) => seconds * 1000);
  const copies = optional("copies", values.copies, 5);
  const maxReplicas = optional("max-replicas", values["max-replicas"], 1000);
  return {
    ...base,
    ...(maxReplicas !== undefined && { maxReplicas }),
    ...(copies !== undefined && { copies }),
    ...(storage !== undefined && { storage }),
    methods: Object.fromEntries(
      Object.entries(methods).map(([name, override]) => {
        const own = concurrency(name);
        const changes = {
          ...(own !== undefined && { concurrency: own }),
          ...(ackWaitMs !== undefined && { ackWaitMs }),
        };
        return [name, { ...override, ...changes }];
      }),
    ),
  };
}

function concurrencyOf(given: readonly string[], names: readonly string[]) {
  let everywhere: number | undefined;
  const each = new Map<string, number>();
  for (const text of given) {
    const [left = "", right] = text.split("=");
    const value = numberOption("concurrency", right ?? left, 1, 1, 10_000);
    if (right === undefined) {
      everywhere = value;
      continue;
    }
    const name = names.find((known) => known === left || known.endsWith(`.${left}`));
    if (name === undefined) throw new UsageError(`--concurrency names ${left}; there is ${names.join(", ")}`);
    each.set(name, value);
  }
  return (name: string) => each.get(name) ?? everywhere;
}

function optional(
  name: string,
  text: string | undefined,
  max: number,
  convert: (value: number) => number = (value) => value,
): number | undefined {
  return text === undefined ? undefined : convert(numberOption(name, text, 1, 1, max));
}
