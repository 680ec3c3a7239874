// The services that the commands know: those of @pipeline/messages that are bound to NATS, and those of a module that is named.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { hasOption, type DescService } from "@bufbuild/protobuf";
import * as messages from "@pipeline/messages";
import { UsageError } from "./usage.ts";

/** Services with a binding. `file` is a generated module with more of them; a UsageError if it cannot be read or has none. */
export async function knownServices(file: string | undefined): Promise<DescService[]> {
  const own = servicesOf(messages);
  if (file === undefined) return own;
  let module: object;
  try {
    module = (await import(pathToFileURL(resolve(file)).href)) as object;
  } catch (error) {
    throw new UsageError(
      `--proto-module ${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  const more = servicesOf(module);
  if (more.length === 0) throw new UsageError(`--proto-module ${file} exports no service with a binding`);
  return [...more, ...own.filter((one) => more.every(({ typeName }) => typeName !== one.typeName))];
}

function servicesOf(module: object): DescService[] {
  return Object.values(module).filter(
    (value: unknown): value is DescService => isService(value) && hasOption(value, messages.service),
  );
}

function isService(value: unknown): value is DescService {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "service";
}
