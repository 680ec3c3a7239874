// Runs one handler and hands what it gives to the sink: one answer, a stream of frames, or a stream folded into one answer.
import { create, type DescMessage, type Message, type MessageInitShape } from "@bufbuild/protobuf";
import { hasFrameType, isLastFrame, stampFrame } from "./answer.ts";
import type { Call, ReplySink } from "./call.ts";
import type { Accumulator } from "./implement.ts";
import type { LiveCall } from "./live-call.ts";
import { readText, writeField } from "./fields.ts";
import { andThen, type Maybe } from "./maybe.ts";

/** Resolves when the handler is done and its last reply is with the sink; rejects with what it threw. */
export function runHandler(call: Call, context: LiveCall, sink: ReplySink): Maybe<void> {
  const { handler, output } = call.method;
  if (handler.kind !== "unary") return runStream(call, context, sink);
  return andThen(handler.handle(call.request, context), (given) => {
    const complete = withId(output, message(output, given), call);
    context.commit();
    return sink.finish(complete);
  });
}

async function runStream(call: Call, context: LiveCall, sink: ReplySink): Promise<void> {
  const { method, request } = call;
  const { handler, output } = method;
  switch (handler.kind) {
    case "unary":
      throw new Error(`${method.contract.name} streams nothing`);
    case "server_streaming": {
      const accumulator = method.folded && accumulatorOf(method.folded, request);
      await stream(call, context, handler.handle(request, context), output, sink, accumulator);
      const folded = method.folded;
      const complete =
        accumulator && folded && withId(folded.output, message(folded.output, accumulator.finish()), call);
      context.commit();
      await sink.finish(complete);
      return;
    }
    case "fold": {
      const source = method.source;
      if (source?.handler.kind !== "server_streaming") throw new Error(`${method.contract.name} folds no stream`);
      const accumulator = handler.fold.start(request);
      const silent: Pick<ReplySink, "frame"> = { frame: () => undefined };
      await stream(call, context, source.handler.handle(request, context), source.output, silent, accumulator);
      const complete = withId(output, message(output, accumulator.finish()), call);
      context.commit();
      await sink.finish(complete);
      return;
    }
    default:
      return unreachable(handler);
  }
}

async function stream(
  call: Call,
  context: LiveCall,
  frames: AsyncIterable<object>,
  desc: DescMessage,
  sink: Pick<ReplySink, "frame">,
  accumulator: Accumulator<DescMessage, DescMessage> | undefined,
): Promise<void> {
  const attempt = call.incoming.attempt;
  const { requestId } = context;
  let sequence = 0;
  const send = async (init: object, type: string): Promise<Message> => {
    sequence += 1;
    const frame = stampFrame(desc, message(desc, init), type, { requestId, sequence, attempt });
    accumulator?.add(frame);
    context.throwIfAborted();
    const taken = sink.frame(frame, sequence);
    if (taken) await taken;
    return frame;
  };
  if (attempt > 1 && hasFrameType(desc)) await send({}, "restart");
  let last: Message | undefined;
  for await (const init of frames) {
    context.throwIfAborted();
    last = await send(init, "chunk");
  }
  if (hasFrameType(desc) && !(last && isLastFrame(desc, last))) await send({}, "done");
}

function accumulatorOf(folded: Call["method"], request: Message): Accumulator<DescMessage, DescMessage> {
  if (folded.handler.kind !== "fold") throw new Error(`${folded.contract.name} must be given as a fold`);
  return folded.handler.fold.start(request);
}

function withId(desc: DescMessage, answer: Message, call: Call): Message {
  if (readText(desc, answer, "request_id") === "") writeField(desc, answer, "request_id", call.context.requestId);
  return answer;
}

const message = (desc: DescMessage, init: object): Message => create(desc, init as MessageInitShape<DescMessage>);

function unreachable(kind: never): never {
  throw new Error(`unknown handler ${JSON.stringify(kind)}`);
}
