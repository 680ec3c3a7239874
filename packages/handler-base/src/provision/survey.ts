// What the server holds before provisioning touches it: the account's limits, its streams, and which of them already capture what the
// contract names.
import {
  type ConsumerInfo,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  type StreamInfo,
} from "@nats-io/jetstream";
import { covers, overlap } from "../subjects.ts";
import type { Homes } from "./consumers.ts";
import { readStamp } from "./stamp.ts";
import type { DesiredStream } from "./streams.ts";

export type Survey = ReadonlyMap<string, StreamInfo>;

/** All streams of the account, by name. Each request is bounded by the manager's timeout. */
export async function takeSurvey(jsm: JetStreamManager, signal: AbortSignal | undefined): Promise<Survey> {
  const streams = new Map<string, StreamInfo>();
  for await (const info of jsm.streams.list()) {
    signal?.throwIfAborted();
    streams.set(info.config.name, info);
  }
  return streams;
}

const absent: readonly number[] = [JetStreamApiCodes.ConsumerNotFound, JetStreamApiCodes.StreamNotFound];

/** A durable consumer, or undefined if it or its stream is not there. */
export async function findConsumer(
  jsm: JetStreamManager,
  stream: string,
  name: string,
): Promise<ConsumerInfo | undefined> {
  try {
    return await jsm.consumers.info(stream, name);
  } catch (cause) {
    if (cause instanceof JetStreamApiError && absent.includes(cause.code)) return undefined;
    throw cause;
  }
}

/** Streams, others than the named one, that capture some of these subjects. */
export function capturing(survey: Survey, subjects: readonly string[], except: string): StreamInfo[] {
  return [...survey.values()].filter(
    ({ config }) =>
      config.name !== except &&
      (config.subjects ?? []).some((held) => subjects.some((subject) => overlap(held, subject))),
  );
}

/** Whether one stream captures everything of these subjects. */
export function capturesAll({ config }: StreamInfo, subjects: readonly string[]): boolean {
  return subjects.every((subject) => (config.subjects ?? []).some((held) => covers(held, subject)));
}

/**
 * Where each stream of the contract is. One that someone else made is adopted, under whatever name, if it captures all the subjects.
 * A stream that is absent from the answer is to be made under its own name, or cannot be: `capturing` tells.
 */
export function findHomes(survey: Survey, wanted: readonly DesiredStream[]): Homes {
  const homes = new Map<string, { name: string; adopted: boolean }>();
  for (const { settings } of wanted) {
    const { name, subjects } = settings;
    const own = survey.get(name);
    if (own !== undefined) {
      homes.set(name, { name, adopted: readStamp(own.config.metadata) === undefined });
      continue;
    }
    const [only, ...more] = capturing(survey, subjects, name);
    if (only !== undefined && more.length === 0 && capturesAll(only, subjects)) {
      homes.set(name, { name: only.config.name, adopted: true });
    }
  }
  return homes;
}
