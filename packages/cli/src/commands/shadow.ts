// `handlers shadow`: the same requests to a second installation, both answers compared.
import {
  compareWithShadow,
  contractsOf,
  installation,
  openCatalogue,
  type Comparison,
  type Side,
} from "@pipeline/handler-base/operations";
import { catalogueFor, connectFor, sessionOptions, sessionUsage } from "../session.ts";
import { countOption, numberOption, parse, UsageError, type Command } from "../usage.ts";

const usage = `handlers shadow: hand a copy of each request to a second installation and compare the answers

Usage: handlers shadow [SERVICE…] --installation SHADOW [OPTIONS]

Listens to the event subjects of the services, publishes a copy of each request on the subjects of the shadow installation, and compares
its answer with the one that is published for the request itself. Nothing else is published. One line a request: what was found, the share
of common words, both times. Ctrl-C ends it with a summary. Exit code 1 if an answer was missing or failed on the shadow's side alone.

  --of NAME            installation that is observed; default: the one without a name
  --timeout SECONDS    longest wait for an answer; default 120
  --count N            leave after N requests
  --content            print both answers
  --json               one JSON document a request
${sessionUsage}`;

const longestTimeoutSeconds = 3600;

export const shadow: Command = {
  summary: "hand copies of requests to a second installation and compare the answers",
  usage,
  async run(args, signal) {
    const { values, positionals } = parse(
      args,
      {
        ...sessionOptions,
        of: { type: "string", default: "" },
        timeout: { type: "string" },
        count: { type: "string" },
        content: { type: "boolean" },
        json: { type: "boolean" },
      },
      usage,
    );
    const target = await catalogueFor(values);
    if (target.at.name === values.of)
      throw new UsageError("name the shadow by --installation; it must be another than the one observed");
    const services = contractsOf(target, positionals).map(({ desc }) => desc);
    const timeoutMs = numberOption("timeout", values.timeout, 120, 0.1, longestTimeoutSeconds) * 1000;
    const count = countOption("count", values.count);
    await using tool = await connectFor("shadow", values);
    const comparisons = compareWithShadow(tool.nc, {
      observed: openCatalogue(services, installation(values.of)),
      shadow: openCatalogue(services, target.at),
      signal,
      timeoutMs,
      onListening: (subjects) => void process.stderr.write(`listening on ${subjects.join(" ")}\n`),
      onPassedOver: (subject, why) => void process.stderr.write(`passed over on ${subject}: ${why}\n`),
    });
    const verdicts = new Map<Comparison["verdict"], number>();
    let seen = 0;
    for await (const comparison of comparisons) {
      verdicts.set(comparison.verdict, (verdicts.get(comparison.verdict) ?? 0) + 1);
      const shown = values.content ? comparison : withoutContent(comparison);
      process.stdout.write(`${values.json ? JSON.stringify(shown) : line(shown)}\n`);
      seen += 1;
      if (seen >= count) break;
    }
    const found = [...verdicts].map(([verdict, times]) => `${times} ${verdict}`);
    process.stderr.write(`${seen} compared${found.length > 0 ? `: ${found.join(", ")}` : ""}\n`);
    return verdicts.has("missing") || verdicts.has("only the shadow failed") ? 1 : 0;
  },
};

function withoutContent(comparison: Comparison): Comparison {
  const bare = ({ outcome, ms }: Side): Side => ({ outcome, ...(ms !== undefined && { ms }) });
  return { ...comparison, first: bare(comparison.first), shadow: bare(comparison.shadow) };
}

function line({ method, subject, requestId, verdict, sharedWords, first, shadow: other }: Comparison): string {
  const side = (name: string, { outcome, ms }: Side) =>
    `${name}=${ms === undefined ? outcome : `${outcome} in ${ms} ms`}`;
  const words = verdict === "same" || verdict === "differs" ? ` words=${Math.round(sharedWords * 100)}%` : "";
  const texts = [first, other].some(({ text }) => text !== undefined)
    ? `\n  first:  ${JSON.stringify(first.text ?? "")}\n  shadow: ${JSON.stringify(other.text ?? "")}`
    : "";
  return `${verdict}${words} ${method} ${subject} request_id=${requestId} ${side("first", first)} ${side("shadow", other)}${texts}`;
}
