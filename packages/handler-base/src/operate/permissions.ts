// NATS permissions derived from the contracts: what a service needs at run time and no more, and what one user may do.
//
// I1  A service that only binds (PROVISION=bind) makes, changes and purges no stream and no consumer. The one consumer that it may create
//     reads the object store of large payloads: whoever may create consumers can read what he may not subscribe to.
// I2  A user publishes only where the subject holds his id, and reads only where it does; never frames or answers whose subject holds a
//     request id alone, because others could guess it.
import type { MethodContract, ReplyContract, ServiceContract } from "../contract.ts";
import { HandlerError } from "../error.ts";
import { names, type Installation, type Names } from "../names.ts";
import { desiredState } from "../provision/index.ts";
import { isToken, type SubjectPattern } from "../subjects.ts";
import { answerFilters } from "./catalogue.ts";

/** Subjects that an account lets a user publish on and subscribe to; everything else is denied. */
export interface Permissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

const inboxes = "_INBOX.>";

/**
 * Permissions of one handler in bind mode. `contracts` are those that it serves; streams are expected under their own names (an adopted
 * one stands under its own: give `adopted`).
 */
export function servicePermissions(
  contracts: readonly ServiceContract[],
  at: Installation,
  adopted: ReadonlyMap<string, string> = new Map(),
): Permissions {
  const own = names(at);
  const methods = contracts.flatMap((contract) => contract.methods);
  const { handler } = contracts[0] ?? { handler: "" };
  const called = methods.flatMap((method) => method.requestSubjects);
  const frames = contracts
    .flatMap(({ streams }) => streams)
    .filter(({ role }) => role === "frames")
    .map(({ name }) => adopted.get(name) ?? name);
  const publish = new Set<string>([
    inboxes,
    "$JS.API.INFO",
    "$JS.API.STREAM.LIST",
    ...consumerSubjects(contracts, at, adopted),
    ...sweeperSubjects(contracts, handler, own, adopted),
    ...storeSubjects(contracts, own),
    ...frames.map((stream) => `$JS.API.DIRECT.GET.${stream}`),
    own.later(handler, ">"),
    ...own.captured.deadLetters(handler),
    ...methods.flatMap(({ reply, storedAnswer }) =>
      reply === undefined ? [] : written(reply).flatMap((to) => (storedAnswer ? [to, own.final("*", to)] : [to])),
    ),
    ...finalsStreams(contracts, at).map((stream) => `$JS.API.DIRECT.GET.${stream}`),
  ]);
  const subscribe = new Set<string>([inboxes, "$SRV.>", own.control("*"), `$KV.${own.bucket.leases}.>`, ...called]);
  return { publish: [...publish], subscribe: [...subscribe] };
}

/** Permissions of one user over all these services. Throws `invalid_argument` on an id that is no subject token. */
export function userPermissions(contracts: readonly ServiceContract[], userId: string): Permissions {
  if (!isToken(userId)) {
    throw new HandlerError("a user id must be one token of a subject: no dot, space, * or >", "invalid_argument");
  }
  const methods = contracts.flatMap((contract) => contract.methods);
  const publish = methods.flatMap(({ events }) => events.flatMap(({ pattern }) => ofUser(pattern, userId)));
  const subscribe = methods.flatMap(({ reply }) =>
    reply === undefined
      ? []
      : [
          ...ofUser(reply.subject, userId),
          ...(reply.frames ? ofUser(reply.frames, userId) : []),
          ...reply.overridePrefixes
            .filter((prefix) => prefix.includes(userField))
            .map((prefix) => `${prefix.replace(userField, userId)}>`),
        ],
  );
  return { publish: [...new Set(publish)], subscribe: [...new Set([...subscribe, `${inboxPrefix(userId)}.>`])] };
}

/** Inbox prefix that a user's client must be given, because the usual one is everybody's. */
export const inboxPrefix = (userId: string) => `_INBOX_${userId}`;

const userField = "{user_id}";

function ofUser({ tokens, fields }: SubjectPattern, userId: string): string[] {
  if (!fields.has("user_id")) return [];
  return [tokens.map((token) => (token === userField ? userId : token.startsWith("{") ? "*" : token)).join(".")];
}

/** Pull, look at and acknowledge; also on the sweeper's stream. */
function consumerSubjects(
  contracts: readonly ServiceContract[],
  at: Installation,
  adopted: ReadonlyMap<string, string>,
): string[] {
  return desiredState(contracts, at).consumers.flatMap(({ stream, settings }) => {
    const name = `${adopted.get(stream) ?? stream}.${settings.durable_name}`;
    return [`$JS.API.CONSUMER.MSG.NEXT.${name}`, `$JS.API.CONSUMER.INFO.${name}`, `$JS.ACK.${name}.>`];
  });
}

/** The sweeper reads what was given up, wherever it is, and removes it from the handler's own queues. */
function sweeperSubjects(
  contracts: readonly ServiceContract[],
  handler: string,
  own: Names,
  adopted: ReadonlyMap<string, string>,
): string[] {
  const ingress = contracts.flatMap(({ streams }) => streams.filter(({ role }) => role === "ingress"));
  const queues = [own.stream.retry(handler), own.stream.interactive(handler)];
  const streams = [...ingress.map(({ name }) => adopted.get(name) ?? name), ...queues];
  return [
    ...streams.map((stream) => `$JS.API.STREAM.MSG.GET.${stream}`),
    ...queues.map((stream) => `$JS.API.STREAM.MSG.DELETE.${stream}`),
  ];
}

/** Claims by compare-and-set, the service's own buckets, large payloads. */
function storeSubjects(contracts: readonly ServiceContract[], { bucket }: Names): string[] {
  const objects = `OBJ_${bucket.claimChecks}`;
  const buckets = contracts.flatMap((contract) => contract.buckets.map(({ name }) => bucket.own(name)));
  return [
    ...[bucket.leases, ...buckets].flatMap((name) => [
      `$KV.${name}.>`,
      `$JS.API.STREAM.INFO.KV_${name}`,
      `$JS.API.STREAM.MSG.GET.KV_${name}`,
      `$JS.API.DIRECT.GET.KV_${name}`,
      `$JS.API.DIRECT.GET.KV_${name}.>`,
    ]),
    `$O.${bucket.claimChecks}.>`,
    `$JS.API.STREAM.INFO.${objects}`,
    `$JS.API.STREAM.MSG.GET.${objects}`,
    `$JS.API.DIRECT.GET.${objects}`,
    `$JS.API.DIRECT.GET.${objects}.>`,
    `$JS.API.CONSUMER.CREATE.${objects}.>`,
    `$JS.API.CONSUMER.DELETE.${objects}.>`,
    `$JS.FC.${objects}.>`,
  ];
}

/** Everywhere that frames, answers and errors of a method may go. */
function written(reply: ReplyContract): string[] {
  return [...answerFilters(reply), ...(reply.frames ? [reply.frames.filter] : [])];
}

function finalsStreams(contracts: readonly ServiceContract[], at: Installation): string[] {
  const prefix = names(at).stream.finals("");
  return desiredState(contracts, at)
    .streams.map(({ settings }) => settings.name)
    .filter((name) => name.startsWith(prefix));
}

/** Names of methods that a user reaches and whose answers he cannot read by these permissions unless he names his own subject. */
export function unreadable(methods: readonly MethodContract[]): string[] {
  return methods
    .filter(
      ({ events, reply }) =>
        events.some(({ pattern }) => pattern.fields.has("user_id")) &&
        reply !== undefined &&
        !reply.subject.fields.has("user_id"),
    )
    .map(({ name }) => name);
}
