// `handlers new`: a service to begin with, whose tests pass at once.
import { existsSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { repository } from "../local/services.ts";
import { makeInside } from "../new/inside.ts";
import { makeOutside } from "../new/outside.ts";
import { serviceName } from "../new/service-name.ts";
import { parse, UsageError, wrongUse, type Command } from "../usage.ts";

const usage = `handlers new: a service with contract, handler, test and README

Usage: handlers new NAME [--dir FOLDER] [--packages FOLDER]

In a checkout of the repository it becomes services/NAME. With --dir, or elsewhere, it becomes a project of its own in an empty folder
(default: ./NAME), built on tarballs of our packages, which are copied into it.

  --dir FOLDER         an empty folder outside the repository
  --packages FOLDER    the tarballs; default: packed from the checkout that this command is in`;

export const newService: Command = {
  summary: "a service with contract, handler, test and README, whose tests pass at once",
  usage,
  async run(args, signal) {
    const { values, positionals } = parse(args, { dir: { type: "string" }, packages: { type: "string" } }, usage);
    const [text, extra] = positionals;
    if (text === undefined) throw wrongUse("new", "name the new service");
    if (extra !== undefined) throw wrongUse("new", `unexpected argument ${extra}`);
    const name = serviceName(text);
    const inCheckout = existsSync(join(repository, "packages", "handler-base")) && isWithin(repository, process.cwd());
    if (values.dir === undefined && inCheckout) {
      if (values.packages !== undefined)
        throw new UsageError("--packages is for a folder outside the repository; add --dir");
      const folder = await makeInside(repository, name, signal);
      const shown = relative(process.cwd(), folder) || ".";
      process.stdout.write(
        `${shown} is ready\n\n  npm install                  # records it in package-lock.json\n` +
          `  npm test -w services/${name.kebab}\n  npm run handlers -- dev ${name.kebab}\n`,
      );
      return 0;
    }
    const folder = resolve(values.dir ?? name.kebab);
    if (isWithin(repository, folder) && existsSync(join(repository, "packages", "handler-base"))) {
      throw new UsageError(`${folder} lies in the repository; leave --dir out to make services/${name.kebab}`);
    }
    const packages = values.packages === undefined ? undefined : resolve(values.packages);
    await makeOutside({ folder, name, packages, repository, signal });
    process.stdout.write(`${folder} is ready\n\n  cd ${folder}\n  npm install\n  npm test\n`);
    return 0;
  },
};

function isWithin(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return !way.startsWith("..");
}
