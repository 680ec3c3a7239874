// `handlers doctor`: what is wrong with this machine or with a cluster, and how to mend it.
import { contractsOf, installation, openCatalogue } from "@pipeline/handler-base/operations";
import { endpoints } from "../doctor/endpoints.ts";
import { error, findingLine, type Finding } from "../doctor/finding.ts";
import { laptop } from "../doctor/laptop.ts";
import { nats } from "../doctor/nats.ts";
import { knownServices } from "../registry.ts";
import { sessionOptions, sessionUsage } from "../session.ts";
import { parse, type Command } from "../usage.ts";

const usage = `handlers doctor: what is wrong with this machine or a cluster, and how to mend it

Usage: handlers doctor [SERVICE…] [--cluster] [--json]

Looks at Node, python3 with pip, the cache folder and nats-server on this machine; at NATS (reachable, new enough, JetStream on, limits;
streams and consumers of the services as the contract wants them; without SERVICE of those that were provisioned); and at the model
servers that LLM_URL, EMBEDDINGS_URL, RERANKER_URL and MILVUS_URL name. Exit code 1 if there is an error.

  --cluster            leave this machine out
  --json               one JSON document [{level, what, fix}]
${sessionUsage}`;

export const doctor: Command = {
  summary: "say what is wrong with this machine or a cluster, and how to mend it",
  usage,
  async run(args, signal) {
    const { values, positionals } = parse(
      args,
      { ...sessionOptions, cluster: { type: "boolean" }, json: { type: "boolean" } },
      usage,
    );
    contractsOf(openCatalogue(await knownServices(values["proto-module"]), installation("")), positionals); // names that are none
    const parts = await Promise.all([
      values.cluster ? [] : part(() => laptop(signal)),
      part(() => nats(values, positionals, signal)),
      part(() => endpoints(signal)),
    ]);
    signal.throwIfAborted();
    const findings = parts.flat();
    if (values.json) process.stdout.write(`${JSON.stringify(findings)}\n`);
    else for (const finding of findings) process.stdout.write(`${findingLine(finding)}\n`);
    return findings.some(({ level }) => level === "error") ? 1 : 0;
  },
};

/** What a part cannot say is a finding itself: the other parts still speak. */
async function part(run: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await run();
  } catch (reason) {
    const text = reason instanceof Error ? reason.message : String(reason);
    return [error(text.replaceAll(/\s*\n\s*/g, " "), "mend this first")];
  }
}
