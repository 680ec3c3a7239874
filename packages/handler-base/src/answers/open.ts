// What a process needs to answer each request once.
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import type { Method } from "../call.ts";
import type { ClaimCheck } from "../claim-check.ts";
import type { ServiceContract } from "../contract.ts";
import type { Once, Ordering } from "../dispatch.ts";
import type { Clock } from "../live-call.ts";
import { names, type Installation } from "../names.ts";
import { createCells } from "./cells.ts";
import { createFinals } from "./finals.ts";
import { createFramePublisher, type FramePublisher } from "./frames.ts";
import { createLeases } from "./lease.ts";
import { createOnce } from "./once.ts";
import type { Logger } from "../log.ts";
import type { Publisher } from "../publisher.ts";
import { createAttach } from "./attach.ts";
import { createOrdering } from "./ordering.ts";
import { checkStoredAnswers, claimKey, keyOf } from "./question.ts";

export interface AnswersOptions {
  readonly nc: NatsConnection;
  readonly installation: Installation;
  readonly clock: Clock;
  readonly contracts: readonly ServiceContract[];
  readonly methods: readonly Method[];
  /** Where streams of the contract are if not under their own name. */
  readonly adopted: ReadonlyMap<string, string>;
  readonly publisher: Publisher;
  readonly log: Logger;
  readonly claimCheck: ClaimCheck | undefined;
  /** How long a claim outlives its holder, ms; whole seconds. Default 5000. */
  readonly claimTtlMs?: number;
}

export interface Answers {
  readonly once: Once;
  readonly ordering: Ordering;
  readonly frames: FramePublisher;
  /** Whether a request with this id runs or has an answer: nobody else may speak on its subject then. Throws `unavailable`. */
  readonly isSpokenFor: (method: Method, requestId: string, publicSubject: string) => Promise<boolean>;
}

/** Throws an Error for a contract whose answers could not be stored or found. Bucket and streams must exist. */
export async function openAnswers(options: AnswersOptions): Promise<Answers> {
  const {
    nc,
    installation,
    clock,
    contracts,
    methods,
    adopted,
    publisher,
    claimCheck,
    claimTtlMs = 5000,
    log,
  } = options;
  checkStoredAnswers(methods, installation.subjectPrefix);
  const own = names(installation);
  const jsm = await jetstreamManager(nc, { checkAPI: false, timeout: 2000 });
  const cells = createCells({ nc, jsm, publisher, bucket: own.bucket.leases });
  const leases = createLeases({ cells, clock, ttlMs: claimTtlMs });
  const finals = createFinals({ nc, jsm, publisher, installation, claimCheck });
  const frames = createFramePublisher(nc, claimCheck);
  const attach = createAttach({ nc, jsm, contracts, adopted, log });
  return {
    once: createOnce({ finals, leases, frames, attach }),
    ordering: createOrdering({ leases, cells, jsm, bucket: own.bucket.leases }),
    frames,
    async isSpokenFor(method, requestId, publicSubject) {
      const key = keyOf({ method, context: { requestId } });
      const [claim, isStored] = await Promise.all([cells.read(claimKey(key)), finals.has(key, publicSubject)]);
      return isStored || claim.value !== undefined;
    },
  };
}
