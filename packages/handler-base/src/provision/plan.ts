// What is to be done about each stream and consumer: nothing, make it, change it, use it as it is, or refuse. Deciding changes nothing.
//
// I1  Nothing is deleted and no change drops a message.
// I2  What a newer contract has set up is never set back.
// I3  Someone else's stream is used as it is or refused, never changed.
import type { ConsumerInfo, JetStreamManager, StreamInfo } from "@nats-io/jetstream";
import { covers } from "../subjects.ts";
import type { DesiredConsumer, Homes } from "./consumers.ts";
import { consumerDifferences, type Difference, streamDifferences } from "./drift.ts";
import type { Action, Entry, Mode } from "./report.ts";
import { goesBack, metadataOf, readStamp, type Stamp } from "./stamp.ts";
import type { DesiredStream } from "./streams.ts";
import { capturing, type Survey } from "./survey.ts";

export interface Step {
  /** How things stand once `change` has run. */
  readonly entry: Entry;
  /** How things stand if it has not. */
  readonly unchanged: Entry;
  /** True if it is not there at all. */
  readonly missing: boolean;
  readonly change: ((jsm: JetStreamManager) => Promise<unknown>) | undefined;
}

export interface Situation {
  readonly mode: Mode;
  readonly survey: Survey;
  readonly homes: Homes;
  readonly clustered: boolean;
}

/** What to do about a stream or bucket. */
export function planStream(wanted: DesiredStream, at: Situation): Step {
  const { kind, settings, stamp } = wanted;
  const { name, subjects } = settings;
  const home = at.homes.get(name);
  if (home?.adopted) return planAdopted(wanted, home.name, at);
  const there = at.survey.get(name);
  const rivals = capturing(at.survey, subjects, name).map(
    ({ config }) => `${config.name} (${config.subjects.join(" ")})`,
  );
  if (rivals.length > 0 && (there === undefined || !sameSubjects(there, subjects))) {
    const detail = `its subjects ${subjects.join(" ")} overlap with those of ${rivals.join(", ")}; give one of them other subjects, or let one stream capture all of them`;
    return settled({ kind, name, action: "conflict", details: [detail] }, there === undefined);
  }
  const notes = at.clustered && settings.num_replicas === 1 && wanted.use !== "frames" ? [oneCopy] : [];
  if (there === undefined) {
    return planMissing({ kind, name }, at.mode, notes, (jsm) =>
      jsm.streams.add({ ...settings, metadata: metadataOf(stamp) }),
    );
  }
  const differences = streamDifferences(there, settings);
  return planChange({ kind, name }, at.mode, there.config.metadata, stamp, differences, notes, (jsm) =>
    jsm.streams.update(name, {
      ...changed(settings, differences),
      ...(differences.some(({ property }) => property === "consumer_limits") && { consumer_limits: {} }),
      metadata: { ...there.config.metadata, ...metadataOf(stamp) },
    }),
  );
}

/** What to do about a durable consumer. */
export function planConsumer(wanted: DesiredConsumer, there: ConsumerInfo | undefined, mode: Mode): Step {
  const { stream, settings, stamp } = wanted;
  const subject = { kind: "consumer", name: `${stream}/${settings.durable_name}` } as const;
  if (there === undefined) {
    return planMissing(subject, mode, [], (jsm) =>
      jsm.consumers.add(stream, { ...settings, metadata: metadataOf(stamp) }),
    );
  }
  const notes = there.paused ? ["is paused: nothing is delivered"] : [];
  const differences = consumerDifferences(there.config, settings);
  return planChange(subject, mode, there.config.metadata, stamp, differences, notes, (jsm) =>
    jsm.consumers.update(stream, settings.durable_name, {
      ...changed({ ...settings, backoff: [], headers_only: false }, differences),
      // One filter and several are two fields to the server; only one of them may be set.
      ...(differences.some(({ property }) => property === "filter_subjects") && { filter_subject: "" }),
      metadata: { ...there.config.metadata, ...metadataOf(stamp) },
    }),
  );
}

const oneCopy = "has one copy on a cluster: its messages are lost with its node";

type Subject = Pick<Entry, "kind" | "name">;

function planMissing(
  subject: Subject,
  mode: Mode,
  notes: readonly string[],
  create: (jsm: JetStreamManager) => Promise<unknown>,
): Step {
  if (mode === "bind") return settled({ ...subject, action: "conflict", details: ["is missing"] }, true);
  return {
    entry: { ...subject, action: "created", details: notes },
    unchanged: { ...subject, action: "drift", details: ["is missing", ...notes] },
    missing: true,
    change: create,
  };
}

function planChange(
  subject: Subject,
  mode: Mode,
  metadata: Readonly<Record<string, string>> | undefined,
  stamp: Stamp,
  differences: readonly Difference[],
  notes: readonly string[],
  update: (jsm: JetStreamManager) => Promise<unknown>,
): Step {
  const before = readStamp(metadata);
  if (before !== undefined && mode !== "bind" && goesBack(before, stamp)) {
    const detail = `was set up by contract version ${before.version}, this is ${stamp.version}: it is not set back; run the newer program`;
    return settled({ ...subject, action: "conflict", details: [detail] }, false);
  }
  const fixed = (difference: Difference) => mode === "bind" || !difference.changeable;
  const blocking = differences.filter((difference) => difference.needed && fixed(difference));
  const staying = differences.filter((difference) => !difference.needed && fixed(difference));
  const changing = differences.filter((difference) => !fixed(difference));
  const texts = differences.map(({ text }) => text);
  const stampTexts = stampDetails(before, stamp);
  const details = [...texts, ...stampTexts, ...notes];
  if (blocking.length > 0) return settled({ ...subject, action: "conflict", details }, false);
  const left: Action = staying.length > 0 ? "drift" : "ok";
  if (mode === "bind" || (changing.length === 0 && stampTexts.length === 0)) {
    return settled({ ...subject, action: left, details: [...texts, ...notes] }, false);
  }
  return {
    entry: { ...subject, action: left === "drift" ? "drift" : "updated", details },
    unchanged: { ...subject, action: "drift", details },
    missing: false,
    change: update,
  };
}

function planAdopted(wanted: DesiredStream, home: string, at: Situation): Step {
  const { name, subjects } = wanted.settings;
  const subject = { kind: wanted.kind, name } as const;
  const there = at.survey.get(home);
  if (there === undefined) throw new Error(`stream ${home} was adopted but is not there`);
  const blocking = refusals(there, subjects);
  if (blocking.length > 0) return settled({ ...subject, action: "conflict", details: blocking }, false);
  const details = streamDifferences(there, { ...wanted.settings, subjects: there.config.subjects }).map(
    ({ text }) => text,
  );
  const where = home === name ? "made by someone else" : `uses stream ${home}`;
  return settled({ ...subject, action: "adopted", details: [where, ...details] }, false);
}

/** Why someone else's stream cannot stand in. */
function refusals({ config }: StreamInfo, subjects: readonly string[]): string[] {
  const out: string[] = [];
  const say = (bad: unknown, text: string) => bad && out.push(`stream ${config.name}, made by someone else, ${text}`);
  const missing = subjects.filter((subject) => !(config.subjects ?? []).some((held) => covers(held, subject)));
  say(missing.length > 0, `does not capture ${missing.join(" ")}; add the subjects to it`);
  say(config.retention === "interest", "has interest retention: what comes before a consumer is there is lost");
  say(config.retention === "workqueue", "is a work queue: its messages belong to other readers");
  say(config.sealed, "is sealed");
  say(config.mirror, "is a mirror");
  say(config.subject_transform?.dest, "changes subjects as it stores");
  say(
    config.consumer_limits?.inactive_threshold,
    "has consumer_limits.inactive_threshold: it would delete the consumers of a service at zero replicas",
  );
  return out;
}

function stampDetails(before: Stamp | undefined, stamp: Stamp): string[] {
  if (before === undefined) return ["has no contract version"];
  if (before.version !== stamp.version) return [`contract version was ${before.version}, is ${stamp.version}`];
  return before.digest === stamp.digest ? [] : ["the contract has changed without a new version"];
}

/** Those of the settings that differ and can be changed. */
function changed<T extends object>(settings: T, differences: readonly Difference[]): Partial<T> {
  const out = { ...settings };
  const properties = new Set(differences.filter(({ changeable }) => changeable).map(({ property }) => property));
  for (const key of Object.keys(settings)) if (!properties.has(key)) Reflect.deleteProperty(out, key);
  return out;
}

function sameSubjects({ config }: StreamInfo, subjects: readonly string[]): boolean {
  return subjects.every((subject) => (config.subjects ?? []).includes(subject));
}

function settled(entry: Entry, missing: boolean): Step {
  return { entry, unchanged: entry, missing, change: undefined };
}
