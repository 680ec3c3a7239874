// Field rules of the contract (protovalidate). The validator is loaded lazily: it costs more than the rest of the start together, and a
// service needs it only once a message fails the plain functions of quick-check.ts or has a type that they do not cover.
import { hasOption, type DescMessage, type Message } from "@bufbuild/protobuf";
import { field as fieldRules, message as messageRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import type { Validator } from "@bufbuild/protovalidate";
import { HandlerError } from "./error.ts";
import { quickCheckOf } from "./quick-check.ts";

let validator: Validator | undefined;
let loading: Promise<void> | undefined;
const ruled = new WeakMap<DescMessage, boolean>();

/** Called after readiness, so that the first request of these types waits for nothing: where plain functions do, no validator is loaded. */
export function prepareValidation(descs: readonly DescMessage[]): void {
  const unclear = descs.filter((desc) => hasRules(desc) && quickCheckOf(desc) === undefined);
  if (unclear.length > 0) void loadValidator();
}

/** Loads the validator. Idempotent. */
export function loadValidator(): Promise<void> {
  loading ??= import("@bufbuild/protovalidate").then(({ createValidator }) => {
    validator = createValidator();
  });
  return loading;
}

/** Whether the type or one that it holds has rules. */
export function hasRules(desc: DescMessage): boolean {
  const seen = ruled.get(desc);
  if (seen !== undefined) return seen;
  ruled.set(desc, false); // a type that holds itself is decided by its other fields
  const found =
    hasOption(desc, messageRules) ||
    desc.fields.some(
      (field) => hasOption(field, fieldRules) || (field.message !== undefined && hasRules(field.message)),
    );
  ruled.set(desc, found);
  return found;
}

/** Throws `invalid_argument` that names every bad field. Never holds a value: it could be what a user wrote. Waits only if it must. */
export function validate(desc: DescMessage, message: Message): Promise<void> | undefined {
  return quickCheckOf(desc)?.(message) ? undefined : validateFully(desc, message);
}

async function validateFully(desc: DescMessage, message: Message): Promise<void> {
  if (validator === undefined) await loadValidator();
  const result = validator?.validate(desc, message);
  if (result === undefined || result.kind === "valid") return;
  if (result.kind === "error")
    throw new HandlerError("the request could not be checked", "internal", { cause: result.error });
  const violations = result.violations.map(
    ({ field, message: text }) => `${field.map((part) => ("name" in part ? part.name : "")).join(".")}: ${text}`,
  );
  throw new HandlerError(`invalid request: ${violations.join("; ")}`.slice(0, 1000), "invalid_argument", {
    violations,
  });
}
