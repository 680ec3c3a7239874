// `npm start`: everything up, one conversation, stays up.
import { createClient } from "@pipeline/handler-base";
import { connectTool } from "@pipeline/handler-base/operations";
import { ChatService, type ChatStreamChunk, type DocumentSource } from "@pipeline/messages";
import { natsHint } from "../local/nats-server.ts";
import { localServices } from "../local/services.ts";
import { startStack, type Stack } from "../local/stack.ts";
import { untilStopped } from "../local/until-stopped.ts";
import { sourceName } from "../output/answer.ts";
import { parse, wrongUse, type Command } from "../usage.ts";

const usage = `handlers start: the local stack and one conversation

Usage: handlers start [--once] [--json] [--question TEXT] [--llm FILE]

  --once           leave after the conversation; exit 0 only if the answer cited a source
  --json           one JSON document {question, answer, sources, engines, timings, urls} on stdout, all else on stderr
  --question TEXT  ask this instead
  --llm FILE       let this GGUF model write the answer`;

const defaultQuestion = "What happens to a message that fails on its last attempt?";

interface Conversation {
  readonly question: string;
  readonly answer: string;
  readonly sources: readonly DocumentSource[];
  readonly model: string;
  readonly degraded: readonly string[];
  readonly timings: { readonly firstTokenMs: number; readonly totalMs: number };
}

export const start: Command = {
  summary: "everything up locally, one question answered with sources; stays up",
  usage,
  async run(args, signal) {
    const { values, positionals } = parse(
      args,
      { once: { type: "boolean" }, json: { type: "boolean" }, question: { type: "string" }, llm: { type: "string" } },
      usage,
    );
    if (positionals.length > 0) throw wrongUse("start", `unexpected argument ${String(positionals[0])}`);
    const begun = performance.now();
    const say = (line: string) => process.stderr.write(`${line}\n`);
    await using stack = await startStack({
      services: localServices(),
      signal,
      progress: say,
      onLog: (part, line) => say(`${part}: ${line}`),
      ...(values.llm !== undefined && { llm: values.llm }),
    });
    const startMs = Math.round(performance.now() - begun);
    const out = values.json ? process.stderr : process.stdout;
    const conversation = await converse(stack, values.question ?? defaultQuestion, signal, out);
    const cited = conversation.sources.some((source) => source.cited);
    if (values.json) process.stdout.write(`${JSON.stringify(document(conversation, stack, startMs))}\n`);
    else print(conversation, stack, startMs);
    if (values.once) return cited ? 0 : 1;
    const hint = natsHint(stack.urls.nats);
    if (hint !== undefined) say(hint);
    say("up; Ctrl-C stops everything");
    await untilStopped(stack.broken, signal);
    return 0;
  },
};

async function converse(
  stack: Stack,
  question: string,
  signal: AbortSignal,
  out: NodeJS.WritableStream,
): Promise<Conversation> {
  const { nc, installation } = await connectTool({
    name: "handlers start",
    ...(process.env["NATS_URL"] ? {} : { server: stack.urls.nats }),
  });
  try {
    const chat = createClient(ChatService, nc, { installation: installation.name });
    out.write(`\n> ${question}\n\n`);
    const asked = performance.now();
    let firstTokenMs = Number.NaN;
    let answer = "";
    let last: ChatStreamChunk | undefined;
    for await (const chunk of chat.chat(
      { requestId: crypto.randomUUID(), userId: "newcomer", query: question },
      { signal },
    )) {
      if (chunk.type === "restart") answer = "";
      if (chunk.content !== "") {
        if (Number.isNaN(firstTokenMs)) firstTokenMs = performance.now() - asked;
        answer += chunk.content;
        out.write(chunk.content);
      }
      last = chunk;
    }
    out.write("\n");
    return {
      question,
      answer,
      sources: last?.sources ?? [],
      model: last?.model ?? "",
      degraded: last?.degraded ?? [],
      timings: { firstTokenMs: Math.round(firstTokenMs), totalMs: Math.round(performance.now() - asked) },
    };
  } finally {
    await nc.close();
  }
}

const plainSource = ({ title, section, uri, text, score, cited }: DocumentSource) => ({
  title,
  section,
  uri,
  text,
  score,
  cited,
});

function document(
  { question, answer, sources, model, degraded, timings }: Conversation,
  stack: Stack,
  startMs: number,
) {
  return {
    question,
    answer,
    sources: sources.map(plainSource),
    engines: { ...stack.engines, answer: model },
    degraded,
    timings: { startMs, ...timings },
    urls: stack.urls,
  };
}

function print({ sources, model, degraded, timings }: Conversation, { urls }: Stack, startMs: number): void {
  const out = process.stdout;
  out.write("\nSources\n");
  sources.forEach((source, index) => {
    if (source.cited) out.write(`  [${index + 1}] ${sourceName(source)}\n`);
  });
  for (const sentence of degraded) out.write(`  note: ${sentence}\n`);
  out.write(
    `\nanswered by ${model}; started in ${startMs} ms, first token after ${timings.firstTokenMs} ms, whole answer after ${timings.totalMs} ms\n`,
  );
  out.write(`\nNATS ${urls.nats}  WebSocket ${urls.websocket}  inference ${urls.inference}\n`);
  for (const [name, url] of Object.entries(urls.health)) out.write(`${name} ${url}/readyz\n`);
}
