// Brings streams, buckets and consumers of an account to what the contracts say, or tells how they differ. Idempotent: a second run finds
// everything as it should be. If anything is refused, nothing is changed.
import {
  JetStreamApiError,
  jetstreamManager,
  type JetStreamAccountStats,
  type JetStreamManager,
} from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import type { BucketContract, ServiceContract } from "../contract.ts";
import type { Installation } from "../names.ts";
import { desiredState, type DesiredState } from "./desired.ts";
import type { Environment } from "./environment.ts";
import { limitProblems } from "./limits.ts";
import { planConsumer, planStream, type Situation, type Step } from "./plan.ts";
import type { Entry, Mode, Report } from "./report.ts";
import { requireServer } from "./server-version.ts";
import { contractStreams, type DesiredStream } from "./streams.ts";
import { capturing, findConsumer, findHomes, type Survey, takeSurvey } from "./survey.ts";

export interface ProvisionOptions {
  /** `apply` (default) changes what it must; `check` tells what `apply` would; `bind` never changes anything and takes what is there. */
  readonly mode?: Mode;
  readonly environment?: Environment;
  /** Buckets besides those of the contracts. */
  readonly buckets?: readonly BucketContract[];
  readonly signal?: AbortSignal;
}

const requestTimeoutMs = 20_000;

/**
 * Provisions what these services need. Conflicts are in the report (`requireProvisioned` throws them). Throws an Error on a server that
 * is too old or has no JetStream, a RangeError on a contradicting environment, and the signal's reason when aborted; each request to the
 * server takes 20 s at most.
 */
export async function provision(
  nc: NatsConnection,
  contracts: readonly ServiceContract[],
  at: Installation,
  options: ProvisionOptions = {},
): Promise<Report> {
  const { mode = "apply", environment = {}, buckets = [], signal } = options;
  requireServer(nc.info?.version);
  const jsm = await jetstreamManager(nc, { timeout: requestTimeoutMs, checkAPI: false });
  const [account, survey] = await Promise.all([jsm.getAccountInfo(), takeSurvey(jsm, signal)]);
  const homes = findHomes(survey, contractStreams(contracts, environment));
  const clustered = nc.info?.cluster !== undefined;
  const state = withCopies(desiredState(contracts, at, environment, buckets, homes), clustered);
  const steps = await plan(jsm, state, { mode, survey, homes, clustered }, signal);
  const refused = [...capturedRequests(contracts, survey), ...accountEntries(account, state, steps)];
  const entries = await execute(jsm, steps, refused.length > 0 || mode !== "apply", signal);
  const all = [...refused, ...entries];
  return {
    entries: all,
    adopted: new Map([...homes].filter(([name, home]) => home.name !== name).map(([name, home]) => [name, home.name])),
    ok: all.every(({ action }) => action !== "conflict"),
  };
}

/** A single server keeps one copy of everything. */
function withCopies(state: DesiredState, clustered: boolean): DesiredState {
  if (clustered) return state;
  return { ...state, streams: state.streams.map(oneCopy) };
}

function oneCopy(stream: DesiredStream): DesiredStream {
  return { ...stream, settings: { ...stream.settings, num_replicas: 1 } };
}

async function plan(
  jsm: JetStreamManager,
  state: DesiredState,
  at: Situation,
  signal: AbortSignal | undefined,
): Promise<Step[]> {
  signal?.throwIfAborted();
  const there = await Promise.all(
    state.consumers.map(async ({ stream, settings }) =>
      at.survey.has(stream) ? findConsumer(jsm, stream, settings.durable_name) : undefined,
    ),
  );
  signal?.throwIfAborted();
  return [
    ...state.streams.map((stream) => planStream(stream, at)),
    ...state.consumers.map((consumer, index) => planConsumer(consumer, there[index], at.mode)),
  ];
}

/** Request subjects that some stream captures: its PubAck would be the answer. */
function capturedRequests(contracts: readonly ServiceContract[], survey: Survey): Entry[] {
  const subjects = contracts.flatMap(({ methods }) => methods.flatMap((method) => method.requestSubjects));
  return subjects.flatMap((subject) =>
    capturing(survey, [subject], "").map(({ config }) => ({
      kind: "subject",
      name: subject,
      action: "conflict",
      details: [
        `is captured by stream ${config.name}, whose PubAck would answer the calls; take it out of the stream's subjects`,
      ],
    })),
  );
}

function accountEntries(account: JetStreamAccountStats, state: DesiredState, steps: readonly Step[]): Entry[] {
  const missing = new Set(steps.filter((step) => step.missing).map(({ entry }) => entry.name));
  const details = limitProblems(
    account,
    {
      streams: state.streams.filter(({ settings }) => missing.has(settings.name)),
      consumers: state.consumers.filter(({ stream, settings }) => missing.has(`${stream}/${settings.durable_name}`)),
    },
    state,
  );
  return details.length === 0 ? [] : [{ kind: "account", name: "limits", action: "conflict", details }];
}

async function execute(
  jsm: JetStreamManager,
  steps: readonly Step[],
  readOnly: boolean,
  signal: AbortSignal | undefined,
): Promise<Entry[]> {
  if (readOnly || steps.some(({ entry }) => entry.action === "conflict")) return steps.map((step) => step.unchanged);
  const entries: Entry[] = [];
  for (const { change, entry } of steps) {
    signal?.throwIfAborted();
    entries.push(change === undefined ? entry : await attempt(() => change(jsm), entry));
  }
  return entries;
}

/** The entry after the change, or what the server has against it. */
async function attempt(change: () => Promise<unknown>, entry: Entry): Promise<Entry> {
  try {
    await change();
    return entry;
  } catch (cause) {
    if (!(cause instanceof JetStreamApiError)) throw cause;
    return { ...entry, action: "conflict", details: [...entry.details, `the server refused: ${cause.message}`] };
  }
}
