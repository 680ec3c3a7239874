// The typed client: the mirror of `implement`. A call goes to the request subject; where nobody listens there it goes to the durable
// subject, and a replica that starts later answers it.
//
// outgoing-call.ts holds what one call is; this file makes functions of it.
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  type Message,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import type { MsgHdrs, NatsConnection } from "@nats-io/nats-core";
import { errorFromHeaders } from "./answer.ts";
import { createClaimCheck } from "./claim-check.ts";
import { decode } from "./codec.ts";
import { readContract, type MethodContract } from "./contract.ts";
import { HandlerError } from "./error.ts";
import { headers, installation, names } from "./names.ts";
import { OutgoingCall, type CallOptions, type ClientEnvironment } from "./outgoing-call.ts";
import { startOutgoing } from "./telemetry/outgoing.ts";

/** Functions for all methods of a service. Each rejects with a HandlerError. A stream that is left early is canceled. */
export type Client<S extends DescService> = {
  readonly [K in keyof S["method"]]: S["method"][K] extends DescMethodUnary<infer I, infer O>
    ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
    : S["method"][K] extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageInitShape<I>, options?: CallOptions) => AsyncGenerator<MessageShape<O>, void, undefined>
      : never;
};

export interface ClientOptions {
  /** Name of the installation that serves. Default: the only one. */
  installation?: string;
  /** Frames that a stream may be ahead of its reader. Default 64. */
  window?: number;
  /** Whether a call that finds no replica waits for one on the durable subject. Default true. */
  durable?: boolean;
}

/** A client over a connection. Throws an Error where the service's contract cannot be read. */
export function createClient<S extends DescService>(
  service: S,
  nc: NatsConnection,
  options: ClientOptions = {},
): Client<S> {
  const at = installation(options.installation ?? "");
  const own = names(at);
  const shared: ClientEnvironment = {
    nc,
    names: own,
    claimCheck: createClaimCheck(nc, own),
    window: options.window ?? 64,
    durable: options.durable ?? true,
  };
  const methods = readContract(service, at).methods.map((contract) => [
    contract.desc.localName,
    contract.desc.methodKind === "unary"
      ? (request: MessageInitShape<DescMessage>, call?: CallOptions) => unary(shared, contract, request, call)
      : (request: MessageInitShape<DescMessage>, call?: CallOptions) => frames(shared, contract, request, call),
  ]);
  return Object.fromEntries(methods) as Client<S>;
}

async function unary(
  shared: ClientEnvironment,
  contract: MethodContract,
  request: MessageInitShape<DescMessage>,
  options: CallOptions = {},
): Promise<Message> {
  const span = startOutgoing(contract, options.headers);
  const call = new OutgoingCall(shared, contract, { ...options, headers: span.headers }, undefined);
  try {
    await call.send(create(contract.desc.input, request));
    const message = await call.next();
    const data = await shared.claimCheck.load(message.data, message.headers);
    const answer = decodeAnswer(contract.desc, data, message.headers);
    const error = errorFromHeaders(message.headers, answer, contract.desc.output);
    if (error) throw error;
    return answer;
  } catch (reason) {
    span.failed(reason);
    throw reason;
  } finally {
    call.close();
    span.end();
  }
}

async function* frames(
  shared: ClientEnvironment,
  contract: MethodContract,
  request: MessageInitShape<DescMessage>,
  options: CallOptions = {},
): AsyncGenerator<Message, void, undefined> {
  const span = startOutgoing(contract, options.headers);
  const call = new OutgoingCall(shared, contract, { ...options, headers: span.headers }, shared.window);
  try {
    await call.send(create(contract.desc.input, request));
    let attempt = 1;
    let next = 1;
    for (;;) {
      const message = await call.next();
      const sequence = Number(message.headers?.get(headers.sequence) || 0);
      const error = errorFromHeaders(message.headers, undefined, contract.desc.output);
      const claimed = message.headers?.get(headers.claimCheck);
      if (message.data.length === 0 && !claimed && message.headers?.get(headers.type) === "") {
        if (error) throw error;
        checkSequence(sequence, next);
        return;
      }
      if (error) continue; // the typed error frame; the end that follows says the same
      const frameAttempt = Number(message.headers?.get(headers.attempt) || 1);
      if (frameAttempt < attempt) continue; // of an attempt that was given up
      if (frameAttempt > attempt) next = 1;
      attempt = frameAttempt;
      checkSequence(sequence, next);
      next += 1;
      const data = await shared.claimCheck.load(message.data, message.headers);
      yield decodeAnswer(contract.desc, data, message.headers);
      call.grant();
    }
  } catch (reason) {
    span.failed(reason);
    throw reason;
  } finally {
    call.close();
    span.end();
  }
}

/** What is published while a connection is broken is lost; what comes after it must not pass for the whole answer. */
function checkSequence(sequence: number, expected: number): void {
  if (sequence === 0 || sequence === expected) return;
  throw new HandlerError("frames of the answer were lost", "unavailable");
}

function decodeAnswer(desc: DescMethod, data: Uint8Array, from: MsgHdrs | undefined): Message {
  const type = from?.get(headers.type);
  if (type && type !== desc.output.typeName) {
    throw new HandlerError(`the answer is a ${type}, not a ${desc.output.typeName}`, "data_loss");
  }
  return decode(desc.output, data, "application/x-protobuf");
}
