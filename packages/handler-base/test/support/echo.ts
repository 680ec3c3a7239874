// The echo service: what tests and benchmarks call. Its request says how it behaves.
import { setTimeout as sleep } from "node:timers/promises";
import { HandlerError, implement, fold, type CallContext, type Implementation } from "../../src/index.ts";
import { isCode } from "../../src/error.ts";
import { EchoService, type EchoRequest } from "../gen/echo/v1/echo_pb.ts";

/** What the service did, for assertions. */
export interface EchoLog {
  /** Request ids in the order in which handlers began and ended. */
  readonly events: string[];
  begun: number;
  ended: number;
  aborted: number;
}

export function echo(log: EchoLog = { events: [], begun: 0, ended: 0, aborted: 0 }): Implementation {
  const begin = async (request: EchoRequest, { signal, attempt }: CallContext): Promise<void> => {
    log.begun += 1;
    log.events.push(`begin ${request.requestId}`);
    if (request.delayMs > 0) {
      try {
        await sleep(request.delayMs, undefined, { signal });
      } catch {
        log.aborted += 1;
        signal.throwIfAborted();
      }
    }
    if (attempt <= request.failures) {
      const retryAfter = request.retryAfterMs > 0 ? { retryAfterMs: request.retryAfterMs } : {};
      throw new HandlerError("not yet", "unavailable", retryAfter);
    }
    if (isCode(request.fail)) throw new HandlerError("as asked", request.fail);
    if (request.fail !== "") throw new Error(request.fail);
  };
  const end = (request: EchoRequest): void => {
    log.ended += 1;
    log.events.push(`end ${request.requestId}`);
  };
  return implement(EchoService, {
    async say(request, context) {
      await begin(request, context);
      end(request);
      return { text: request.text, data: request.data, attempt: context.attempt };
    },
    async once(request, context) {
      await begin(request, context);
      end(request);
      return { text: request.text, attempt: context.attempt };
    },
    async *count(request, context) {
      await begin(request, context);
      for (let number = 1; number <= request.frames; number += 1) {
        if (request.delayMs > 0 && number > 1) {
          try {
            await sleep(request.delayMs, undefined, { signal: context.signal });
          } catch {
            log.aborted += 1;
            context.signal.throwIfAborted();
          }
        }
        yield { text: `${request.text}${number} ` };
      }
      end(request);
    },
    sum: fold(EchoService.method.count, EchoService.method.sum, {
      start: () => {
        let text = "";
        let attempt = 1;
        return {
          add: (frame) => {
            if (frame.type === "restart") text = "";
            text += frame.text;
            attempt = frame.attempt;
          },
          finish: () => ({ text, attempt }),
        };
      },
      replay: (answer) => [
        { type: "chunk", text: answer.text },
        { type: "done", done: true },
      ],
    }),
  });
}
