// The services of the repository that the local stack can run.
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "../usage.ts";

/** The repository: this file is packages/cli/src/local/services.ts in it. */
export const repository = dirname(dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url))))));

export const mainOf = (service: string) => join(repository, "services", service, "src", "main.ts");

/** Names of all services. Throws a UsageError outside a checkout of the repository. */
export function localServices(): string[] {
  const folder = join(repository, "services");
  if (!existsSync(folder) || !existsSync(join(repository, "packages", "inference-dev"))) {
    throw new UsageError("the local stack needs a checkout of the repository; run this there");
  }
  return readdirSync(folder)
    .filter((name) => existsSync(mainOf(name)))
    .toSorted();
}

/** The named services, or all. Throws a UsageError that lists what there is. */
export function chosenServices(names: readonly string[]): string[] {
  const known = localServices();
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new UsageError(`there is no service ${unknown}; there is ${known.join(", ")}`);
  return names.length > 0 ? [...new Set(names)] : known;
}
