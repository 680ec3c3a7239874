// A language model's server that has nothing to say but the time: each answer is `max_tokens` chunks, PACE_MS apart, and the text of each
// is when it was written (Unix ms with fractions). Says `ready` and its port.
import { createServer, type ServerResponse } from "node:http";
import { variable } from "../../support/variable.ts";

const paceMs = Number(variable("PACE_MS"));

interface Answer {
  readonly response: ServerResponse;
  left: number;
}

const open = new Set<Answer>();
const event = (delta: object, finish: string | null) =>
  `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 0, model: "clock", choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;

/** All streams that are due in one slice of the pace; the slices keep them from all writing at once. */
const slices = 20;
let slice = 0;
const byslice: Set<Answer>[] = Array.from({ length: slices }, () => new Set());
setInterval(() => {
  const due = byslice[(slice = (slice + 1) % slices)] ?? new Set<Answer>();
  for (const answer of due) {
    answer.left -= 1;
    answer.response.write(event({ content: `${performance.timeOrigin + performance.now()}` }, null));
    if (answer.left > 0) continue;
    due.delete(answer);
    open.delete(answer);
    answer.response.end(`${event({}, "stop")}data: [DONE]\n\n`);
  }
}, paceMs / slices);

const server = createServer((request, response) => {
  if (request.method !== "POST") {
    response.writeHead(200, { "Content-Type": "application/json" }).end('{"data":[]}');
    return;
  }
  let body = "";
  request.setEncoding("utf8").on("data", (text: string) => (body += text));
  request.on("end", () => {
    const { max_tokens: left } = JSON.parse(body) as { max_tokens: number };
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.socket?.setNoDelay(true);
    const answer = { response, left };
    open.add(answer);
    byslice[open.size % slices]?.add(answer);
  });
}).listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address !== null && typeof address === "object")
    console.log(JSON.stringify({ ready: "ready", port: address.port }));
});
process.once("SIGTERM", () => process.exit(0));
