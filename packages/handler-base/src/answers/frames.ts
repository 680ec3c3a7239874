// Frames of running answers on their public subject.
import type { Message } from "@bufbuild/protobuf";
import { Empty, type NatsConnection } from "@nats-io/nats-core";
import { answerHeaders } from "../answer.ts";
import type { Call } from "../call.ts";
import type { ClaimCheck } from "../claim-check.ts";
import { encode } from "../codec.ts";
import { headers } from "../names.ts";
import { keyOf } from "./question.ts";

/** After how many frames the socket is waited for: what keeps the memory bounded. */
const flushEvery = 64;

export interface FramePublisher {
  /** Publishes a frame on the call's frames subject, if it has one. Resolves when the next one may follow. */
  publish(call: Call, frame: Message, sequence: number): Promise<void> | void;
}

export function createFramePublisher(nc: NatsConnection, claimCheck: ClaimCheck | undefined): FramePublisher {
  return {
    publish(call, frame, sequence) {
      const { framesSubject, method, contentType, incoming } = call;
      if (framesSubject === undefined) return undefined;
      const out = answerHeaders(method.output, contentType);
      out.set(headers.sequence, String(sequence));
      out.set(headers.attempt, String(incoming.attempt));
      // The stream keeps a frame once, however often it is sent again to later readers.
      out.set("Nats-Msg-Id", `${keyOf(call)}-${incoming.attempt}-${sequence}`);
      const body = encode(method.output, frame, contentType);
      if (claimCheck?.isTooLarge(body)) {
        return claimCheck.store(body, out).then(() => nc.publish(framesSubject, Empty, { headers: out }));
      }
      nc.publish(framesSubject, body, { headers: out });
      return sequence % flushEvery === 0 ? nc.flush() : undefined;
    },
  };
}
