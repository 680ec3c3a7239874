// `handlers permissions`: what NATS must let a service or a user do, derived from the contract.
import {
  contractsOf,
  inboxPrefix,
  servicePermissions,
  unreadable,
  userPermissions,
  type Permissions,
} from "@pipeline/handler-base/operations";
import { catalogueFor, sessionOptions, sessionUsage } from "../session.ts";
import { parse, UsageError, type Command } from "../usage.ts";

const usage = `handlers permissions: NATS permissions for services and users, derived from the contract

Usage: handlers permissions [SERVICE…] [--json]
       handlers permissions user ID [--json]

Prints snippets for the server's configuration; no server is asked. A service gets what it needs to pull, acknowledge, answer, claim and
store in bind mode (PROVISION=bind): it makes, changes and purges no stream and no consumer; provision with another login. A user
publishes only on subjects that hold his id, and reads only there and on an inbox prefix of his own, which his client must be given.

  --json               one JSON document {name: {publish, subscribe}}
${sessionUsage}`;

export const permissions: Command = {
  summary: "print NATS permissions for services and users",
  usage,
  async run(args) {
    const { values, positionals } = parse(args, { ...sessionOptions, json: { type: "boolean" } }, usage);
    const catalogue = await catalogueFor(values);
    const [first, id, extra] = positionals;
    const sections = first === "user" ? userSections(catalogue, id, extra) : serviceSections(catalogue, positionals);
    if (values.json) {
      const document = Object.fromEntries(sections.map(({ name, granted }) => [name, granted]));
      process.stdout.write(`${JSON.stringify(document)}\n`);
    } else {
      process.stdout.write(sections.map(snippet).join("\n"));
    }
    return 0;
  },
};

interface Section {
  readonly name: string;
  readonly notes: readonly string[];
  readonly granted: Permissions;
}

type Catalogue = Parameters<typeof contractsOf>[0];

function serviceSections(catalogue: Catalogue, services: readonly string[]): Section[] {
  const byHandler = Map.groupBy(contractsOf(catalogue, services), ({ handler }) => handler);
  return [...byHandler].map(([handler, contracts]) => ({
    name: handler,
    notes: [`service ${handler}, with PROVISION=bind`],
    granted: servicePermissions(contracts, catalogue.at),
  }));
}

function userSections({ contracts, methods }: Catalogue, id: string | undefined, extra: string | undefined): Section[] {
  if (id === undefined || extra !== undefined) throw new UsageError("name one user: handlers permissions user ID");
  const hidden = unreadable(methods).map((name) => name.split(".").slice(-2).join("."));
  return [
    {
      name: id,
      notes: [
        `user ${id}; the client's inbox prefix must be ${inboxPrefix(id)}`,
        ...(hidden.length > 0
          ? [
              `answers of ${hidden.join(", ")} come to a response subject of the user's own, named in the request where it can be`,
            ]
          : []),
      ],
      granted: userPermissions(contracts, id),
    },
  ];
}

function snippet({ notes, granted }: Section): string {
  const list = (subjects: readonly string[]) =>
    subjects.map((subject) => `      ${JSON.stringify(subject)}\n`).join("");
  return (
    notes.map((note) => `# ${note}\n`).join("") +
    `permissions: {\n  publish: {\n    allow: [\n${list(granted.publish)}    ]\n  }\n` +
    `  subscribe: {\n    allow: [\n${list(granted.subscribe)}    ]\n  }\n}\n`
  );
}
