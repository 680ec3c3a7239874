// What the stores need to know of a call whose answer is kept: its key, where and in what form its answer goes, and who asked what.
import type { Call, Method } from "../call.ts";
import { requestKey } from "../names.ts";
import { rootOf, type Question } from "./finals.ts";
import { fingerprintOf } from "./fingerprint.ts";

/** The question that a call asks. The call must have a response subject. */
export function questionOf(call: Call): Question {
  const { method, request, context, contentType, responseSubject } = call;
  if (responseSubject === undefined) throw new Error(`${method.contract.name} has no response subject`);
  return {
    key: keyOf(call),
    publicSubject: responseSubject,
    fingerprint: fingerprintOf(method.input, request, context.caller.userId),
    requestId: context.requestId,
    desc: answerTypeOf(method),
    contentType,
  };
}

/** Key of a call's claim, answer and frames: a fold shares it with the stream that it folds. */
export function keyOf({ method, context }: Pick<Call, "method"> & { context: { requestId: string } }): string {
  return requestKey((method.source ?? method).contract.name, context.requestId);
}

/** Key of the lease that marks a request in flight. */
export const claimKey = (key: string) => `claim.${key}`;

/** Type of the one answer that is kept. */
export function answerTypeOf(method: Method): Method["output"] {
  return method.folded?.output ?? method.output;
}

/** Throws an Error for a method whose contract promises a stored answer that could not be stored or found. */
export function checkStoredAnswers(methods: readonly Method[], subjectPrefix: string): void {
  for (const { contract, handler, folded, source } of methods) {
    if (!contract.storedAnswer) continue;
    const reply = contract.reply ?? source?.contract.reply;
    if (reply === undefined) {
      throw new Error(
        `${contract.name}: a stored answer needs a reply subject, its own or that of the stream it folds`,
      );
    }
    if (handler.kind === "server_streaming" && folded === undefined) {
      throw new Error(`${contract.name}: a stored answer of a stream needs an rpc that folds it`);
    }
    const roots = [reply.subject.text, ...(reply.overrideField === undefined ? [] : reply.overridePrefixes)].map(
      (text) => rootOf(text, subjectPrefix),
    );
    if (new Set(roots).size > 1 || roots.some((root) => root.includes("{"))) {
      throw new Error(`${contract.name}: all subjects of its answer must start with the same literal token`);
    }
  }
}
