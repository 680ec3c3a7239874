// Tables of what all rpcs share: headers, error codes, streams.
import { codeOf, HandlerError, type Code } from "../../packages/handler-base/src/error.ts";
import { headers } from "../../packages/handler-base/src/names.ts";
import type { Contract } from "./contract.ts";
import { cell, code, duration, list, table } from "./markdown.ts";

type Header = keyof typeof headers;

/** Headers that a publisher may set; each is optional. */
const onRequests: Partial<Record<Header, string>> = {
  contentType:
    "`application/x-protobuf` (also `application/protobuf`, `application/octet-stream`; the default), `application/json` or `application/msgpack`",
  deadlineMs: "Time that is left for the call, in milliseconds, at most one hour",
  requestId: "Id of the request, where the payload has none",
  claimCheck: "Object that holds the payload; the body is then empty",
  control: "Token of the control subject, for callers of a request subject that give credits or cancel",
  credits: "Frames that such a caller takes before it gives more",
};

/** Headers that an answer may have. */
const onAnswers: Partial<Record<Header, string>> = {
  type: "Full name of the message type in the body",
  contentType: "Content type of the body, where it is not protobuf",
  status: "`ok` in the last message of an answer; `working` in a keep-alive, which has no body",
  sequence: "Number of a frame within its attempt, from 1",
  attempt: "Attempt that wrote it, from 1",
  error: "What went wrong (ADR-32)",
  errorCode: "Number of the error's code (ADR-32)",
  retryAfterMs: "When to try again, in milliseconds from now",
  requestId: "Request that a final answer belongs to",
  claimCheck: "Object that holds the payload; the body is then empty",
  replayed: "`true` on a frame that was sent before and is sent again to a later reader",
};

/** Headers that services write for themselves, into retry copies and dead letters; taken off whatever else brings them. */
const internal: readonly Header[] = [
  "replyTo",
  "originalSubject",
  "publishedAt",
  "deadlineAt",
  "origin",
  "cause",
  "causeMessage",
  "deliveries",
];

const codeMeanings: Readonly<Record<Code, string>> = {
  canceled: "The caller canceled the call, or is gone",
  unknown: "Something went wrong that fits nowhere else",
  invalid_argument: "The request is not what the contract says; `violations` names the fields",
  deadline_exceeded: "The time for the call is over",
  not_found: "Something that the request names does not exist",
  already_exists: "Another request has this id: same id, other user or content",
  permission_denied: "The caller may not do this",
  resource_exhausted: "All slots are taken; try again after `retry_after_ms`",
  failed_precondition: "The request makes no sense in this state",
  aborted: "Another process took over",
  out_of_range: "A value lies outside what exists",
  unimplemented: "The service does not do this",
  internal: "The service failed",
  unavailable: "Something that the service needs is away",
  data_loss: "Data is lost or broken",
  unauthenticated: "The caller did not say who it is",
};

/** Table of the headers of requests or of answers. Throws an Error where a header of the library is described nowhere. */
export function headerTable(of: "requests" | "answers"): string {
  for (const key of Object.keys(headers)) {
    const known = Object.hasOwn(onRequests, key) || Object.hasOwn(onAnswers, key);
    if (!known && !internal.some((one) => one === key))
      throw new Error(`tools/wire/tables.ts does not say what header ${key} is`);
  }
  const described = of === "requests" ? onRequests : onAnswers;
  const rows = Object.entries(headers).flatMap(([key, name]) => {
    const meaning = described[key as Header];
    return meaning === undefined ? [] : [[code(name), cell(meaning)]];
  });
  return table(["header", "meaning"], rows);
}

/** Names of the headers that only services write. */
export const internalHeaders = () => list(internal.map((key) => code(headers[key])));

export function codeTable(): string {
  const rows = Object.entries(codeMeanings).map(([name, meaning]) => {
    const error = new HandlerError("", name as Code);
    return [String(error.number), code(error.code), cell(meaning), error.retryable ? "yes" : "no"];
  });
  if (rows.some(([number]) => codeOf(Number(number)) === undefined)) throw new Error("a code has no number");
  return table(
    ["number", "code", "meaning", "an event is tried again"],
    rows.toSorted(([a], [b]) => Number(a) - Number(b)),
  );
}

export function streamTable({ services }: Contract): string {
  const rows = services.flatMap(({ contract: { handler, streams } }) =>
    streams.map(({ name, subjects, role, maxAgeMs, storage, replicas }) => [
      code(name),
      subjects.map(code).join(", "),
      role === "ingress" ? "requests" : "frames",
      duration(maxAgeMs),
      storage,
      String(replicas),
      code(handler),
    ]),
  );
  return table(["stream", "subjects", "holds", "for", "on", "copies on a cluster", "service"], rows);
}
