// What a process needs to answer each request once.
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import type { Method } from "../call.ts";
import type { ClaimCheck } from "../claim-check.ts";
import type { Once } from "../dispatch.ts";
import type { Clock } from "../live-call.ts";
import { names, type Installation } from "../names.ts";
import { createCells } from "./cells.ts";
import { createFinals, type Finals } from "./finals.ts";
import { createFramePublisher, type FramePublisher } from "./frames.ts";
import { createLeases, type Leases } from "./lease.ts";
import { createOnce } from "./once.ts";
import { createPublisher } from "../publisher.ts";
import { checkStoredAnswers } from "./question.ts";

export interface AnswersOptions {
  readonly nc: NatsConnection;
  readonly installation: Installation;
  readonly clock: Clock;
  readonly methods: readonly Method[];
  readonly claimCheck: ClaimCheck | undefined;
  /** How long a claim outlives its holder, ms; whole seconds. Default 5000. */
  readonly claimTtlMs?: number;
}

export interface Answers {
  readonly once: Once;
  readonly frames: FramePublisher;
  readonly finals: Finals;
  readonly leases: Leases;
}

/** Throws an Error for a contract whose answers could not be stored or found. Bucket and streams must exist. */
export async function openAnswers(options: AnswersOptions): Promise<Answers> {
  const { nc, installation, clock, methods, claimCheck, claimTtlMs = 5000 } = options;
  checkStoredAnswers(methods, installation.subjectPrefix);
  const own = names(installation);
  const jsm = await jetstreamManager(nc, { checkAPI: false, timeout: 2000 });
  const publisher = createPublisher(nc);
  const cells = createCells({ nc, jsm, publisher, bucket: own.bucket.leases });
  const leases = createLeases({ cells, clock, ttlMs: claimTtlMs });
  const finals = createFinals({ nc, jsm, publisher, installation, claimCheck });
  return { once: createOnce({ finals, leases }), frames: createFramePublisher(nc), finals, leases };
}
