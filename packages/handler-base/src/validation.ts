// Field rules of the contract (protovalidate). The validator is loaded lazily: it costs more than the rest of the start together, and a
// service needs it only once a message fails the plain functions of quick-check.ts or has a type that they do not cover.
import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import type { Validator } from "@bufbuild/protovalidate";
import { HandlerError } from "./error.ts";
import type { QuickCheck } from "./quick-check.ts";

/** Number that protovalidate's rules have as an extension of any options. It is asked for alone: the schema of the rules takes 5 ms. */
const rulesNumber = 1159;

let quickCheckOf: ((desc: DescMessage) => QuickCheck | undefined) | undefined;
let loadingQuick: Promise<void> | undefined;
let validator: Validator | undefined;
let loading: Promise<void> | undefined;
const ruled = new WeakMap<DescMessage, boolean>();

/** Called after readiness, so that the first request of these types waits for nothing: where plain functions do, no validator is loaded. */
export async function prepareValidation(descs: readonly DescMessage[]): Promise<void> {
  const ruledOnes = descs.filter(hasRules);
  if (ruledOnes.length === 0) return;
  await loadQuickChecks();
  if (ruledOnes.some((desc) => quickCheckOf?.(desc) === undefined)) await loadValidator();
}

function loadQuickChecks(): Promise<void> {
  loadingQuick ??= import("./quick-check.ts").then((loaded) => {
    quickCheckOf = loaded.quickCheckOf;
  });
  return loadingQuick;
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
    saysRules(desc) ||
    desc.fields.some((field) => saysRules(field) || (field.message !== undefined && hasRules(field.message)));
  ruled.set(desc, found);
  return found;
}

const saysRules = ({ proto: { options } }: DescMessage | DescField): boolean =>
  options?.$unknown?.some(({ no }) => no === rulesNumber) ?? false;

/** Throws `invalid_argument` that names every bad field. Never holds a value: it could be what a user wrote. Waits only if it must. */
export function validate(desc: DescMessage, message: Message): Promise<void> | undefined {
  if (quickCheckOf === undefined) return loadQuickChecks().then(() => validate(desc, message));
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
