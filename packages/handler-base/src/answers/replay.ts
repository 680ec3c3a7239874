// Gives a stored answer to a call that asks for it again.
//
// I1  On the event way a final is published again only for a publish that is younger than the stored answer: readers of an older one
//     have heard it, and one request has one final.
import { create, type Message } from "@bufbuild/protobuf";
import { stampFrame } from "../answer.ts";
import type { Call, Outcome, ReplySink } from "../call.ts";
import type { Attach } from "./attach.ts";
import type { Finals, Question, StoredFinal } from "./finals.ts";
import type { FramePublisher } from "./frames.ts";

export interface Stores {
  readonly finals: Finals;
  readonly frames: FramePublisher;
  readonly attach: Attach;
}

/** Answers the call from the store. A new publish that gets a stored error is thereby served; the first one's redelivery has failed. */
export async function answerAgain(
  call: Call,
  question: Question,
  stored: StoredFinal,
  sink: ReplySink,
  { finals, frames, attach }: Stores,
): Promise<Outcome> {
  const { final } = stored;
  const isNew = stored.storedAt < call.incoming.publishedAt;
  if (hasInbox(call)) {
    if (final.ok) {
      for (const [index, frame] of framesOf(call, final.answer).entries()) await sink.frame(frame, index + 1);
      await sink.finish(final.answer);
    } else {
      await sink.fail(final.error);
    }
  } else if (isNew) {
    // A run that came by a request subject left no frames: what the answer says is sent as such.
    if ((await attach(call)) === 0 && final.ok) {
      for (const [index, frame] of framesOf(call, final.answer).entries()) await frames.publish(call, frame, index + 1);
    }
    await finals.publishAgain(question, stored);
  }
  return final.ok || (call.incoming.way === "event" && isNew) ? { ok: true } : final;
}

/** Events have readers on public subjects; requests and durable calls have an inbox of their own. */
export const hasInbox = ({ incoming }: Call) => incoming.way === "request" || incoming.pattern === undefined;

/** Frames that say what the answer says; none for a unary call. */
function framesOf({ method, incoming, context }: Call, answer: Message): Message[] {
  const fold = method.folded?.handler;
  if (fold?.kind !== "fold") return [];
  return fold.fold.replay(answer).map((frame, index) =>
    stampFrame(method.output, create(method.output, frame), "chunk", {
      requestId: context.requestId,
      sequence: index + 1,
      attempt: incoming.attempt,
    }),
  );
}
