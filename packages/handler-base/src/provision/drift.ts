// Differences between what is there and what is wanted, property by property, and what may be done about each.
//
// I1  No change that provisioning makes can drop a message: limits are tightened only where nothing would fall out.
import { DiscardPolicy, type ConsumerConfig, type StreamInfo } from "@nats-io/jetstream";
import type { ConsumerSettings } from "./consumers.ts";
import type { StreamSettings } from "./streams.ts";

export interface Difference {
  readonly property: string;
  /** One clause for people: `max_age is 1h, the contract says 5m`. */
  readonly text: string;
  /** Whether the server lets it be changed without losing a message. */
  readonly changeable: boolean;
  /** Whether the handler would misbehave with what is there, rather than keep messages longer or shorter. */
  readonly needed: boolean;
}

type Properties = Readonly<Record<string, unknown>>;

/** Stream properties that delivery, fencing or replay stand on. */
const neededOfStream = new Set([
  "subjects",
  "retention",
  "discard",
  "discard_new_per_subject",
  "max_msgs_per_subject",
  "republish",
  "allow_direct",
  "allow_msg_schedules",
  "allow_msg_ttl",
]);
const neededOfConsumer = new Set([
  "ack_policy",
  "filter_subjects",
  "inactive_threshold",
  "deliver_subject",
  "headers_only",
]);
const durations = new Set([
  "max_age",
  "duplicate_window",
  "ack_wait",
  "inactive_threshold",
  "subject_delete_marker_ttl",
]);

/** How an existing stream differs from the wanted settings. */
export function streamDifferences(info: StreamInfo, wanted: StreamSettings): Difference[] {
  const there: Properties = { ...info.config };
  const out: Difference[] = [];
  for (const [key, want] of properties(wanted)) {
    if (key === "name" || key === "metadata" || same(there[key], want)) continue;
    out.push({
      property: key,
      text: `${key} is ${show(key, there[key])}, the contract says ${show(key, want)}`,
      changeable: isStreamChangeable(key, want, info),
      needed: neededOfStream.has(key),
    });
  }
  const inherited = info.config.consumer_limits;
  if (inherited?.inactive_threshold) {
    out.push({
      property: "consumer_limits",
      text: `consumer_limits.inactive_threshold is ${show("ack_wait", inherited.inactive_threshold)}: it would delete the consumers of a service at zero replicas`,
      changeable: true,
      needed: true,
    });
  }
  return out;
}

/** How an existing durable consumer differs from the wanted settings. The start policy counts only when it is made. */
export function consumerDifferences(there: ConsumerConfig, wanted: ConsumerSettings): Difference[] {
  const filters = there.filter_subject ? [there.filter_subject] : there.filter_subjects;
  const normal: Properties = { ...there, ...(filters && { filter_subjects: filters }) };
  const goal: Properties = { ...wanted, backoff: [], headers_only: false, deliver_subject: "" };
  const out: Difference[] = [];
  for (const [key, want] of properties(goal)) {
    if (key === "deliver_policy" || key === "durable_name" || key === "metadata" || same(normal[key], want)) continue;
    out.push({
      property: key,
      text: `${key} is ${show(key, normal[key])}, the contract says ${show(key, want)}`,
      changeable: key !== "ack_policy" && key !== "replay_policy" && key !== "deliver_subject",
      needed: neededOfConsumer.has(key) || (key === "max_ack_pending" && below(normal[key], want)),
    });
  }
  return out;
}

function isStreamChangeable(key: string, want: unknown, { config, state }: StreamInfo): boolean {
  switch (key) {
    case "storage":
    case "retention":
      return false;
    case "allow_msg_schedules":
    case "allow_msg_ttl":
      return want === true;
    case "max_age":
      return (
        state.messages === 0 ||
        want === 0 ||
        (typeof want === "number" && Date.now() - Date.parse(state.first_ts) < want / 1e6)
      );
    case "max_bytes":
      return want === -1 || (typeof want === "number" && state.bytes <= want);
    case "max_msgs_per_subject":
      return (
        state.messages === 0 ||
        want === -1 ||
        (config.max_msgs_per_subject > 0 && !below(want, config.max_msgs_per_subject))
      );
    case "discard":
      return want === DiscardPolicy.New || state.messages === 0;
    default:
      return true;
  }
}

function properties(of: object): [string, unknown][] {
  return Object.entries(of);
}

function below(one: unknown, other: unknown): boolean {
  return typeof one === "number" && typeof other === "number" && one < other;
}

/** What the server leaves out is its zero value. */
function same(there: unknown, want: unknown): boolean {
  if (Array.isArray(want)) {
    const have: unknown[] = Array.isArray(there) ? there : [];
    return have.length === want.length && want.every((item) => have.includes(item));
  }
  if (typeof want === "object" && want !== null) {
    const have: Properties = { ...(typeof there === "object" ? there : undefined) };
    return properties(want).every(([key, value]) => same(have[key], value));
  }
  return there === want || (there === undefined && (want === false || want === 0 || want === ""));
}

function show(key: string, value: unknown): string {
  if (value === undefined || value === "") return "not set";
  if (Array.isArray(value)) return value.length === 0 ? "empty" : value.join(" ");
  if (typeof value === "number" && durations.has(key)) return value === 0 ? "unlimited" : showDuration(value / 1e6);
  if (typeof value === "number" && value === -1) return "unlimited";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** A duration for people: the largest unit that divides it. */
export function showDuration(ms: number): string {
  const units = [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1000],
  ] as const;
  for (const [unit, size] of units) if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  return `${ms}ms`;
}
