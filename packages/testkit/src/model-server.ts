// A scripted model server for tests: chat, embeddings, rerank and speech over real HTTP on a port of its own. It answers well until a
// test says how it fails.
//
// I1  What it answers follows from the request alone: embeddings are words hashed into a vector, ranks count common words.
// I2  Disposing it destroys every connection; nothing is left open.
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { embeddingsOf, ranksOf, silence } from "./model-answers.ts";

export type ModelRole = "chat" | "embeddings" | "rerank" | "speech";

export type ModelFault =
  /** An error status. Default body: an OpenAI error. */
  | {
      readonly kind: "status";
      readonly status: number;
      readonly body?: string;
      readonly contentType?: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** A page of some proxy, with status 200. */
  | { readonly kind: "html" }
  /** Status 200 and an error in the body. */
  | { readonly kind: "error in 200" }
  /** The connection is destroyed in the middle of the answer (chat: after the first token). */
  | { readonly kind: "cut" }
  /** NaN among the numbers, bare as Python writes it. */
  | { readonly kind: "nan" }
  /** Takes the request and never answers. */
  | { readonly kind: "silent" };

export interface ModelRequest {
  readonly role: ModelRole;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readonly<Record<string, unknown>>;
  /** Settles when the client went away before the answer was complete. */
  readonly aborted: Promise<void>;
}

/** Pieces of a chat answer. */
export type Script = (request: ModelRequest) => Iterable<string> | AsyncIterable<string>;

export interface ModelServerOptions {
  /** Default: `an answer [1]` in three pieces. */
  readonly script?: Script;
  /** Wait before each piece, ms. Default 0. */
  readonly delayMs?: number;
  /** Why answers end. Default `stop`. */
  readonly finish?: string;
  /** WAV file that speech is answered with. Default: 100 ms of silence. */
  readonly speech?: Uint8Array;
  /** Name of the chat model. Default `scripted`. */
  readonly model?: string;
}

export interface ModelServer extends AsyncDisposable {
  readonly url: string;
  /** In the order in which they came. */
  readonly requests: readonly ModelRequest[];
  readonly of: (role: ModelRole) => ModelRequest[];
  /** Answers from now on. */
  readonly say: (script: Script | readonly string[]) => void;
  /** Fails requests of this role from now on, `times` of them. Undefined: works again. */
  readonly fail: (role: ModelRole, fault: ModelFault | undefined, times?: number) => void;
}

const roles: readonly (readonly [suffix: string, role: ModelRole])[] = [
  ["/v1/chat/completions", "chat"],
  ["/v1/embeddings", "embeddings"],
  ["/v1/rerank", "rerank"],
  ["/v1/audio/speech", "speech"],
];
const maxBodyBytes = 64 * 1024 * 1024;

export async function startModelServer(options: ModelServerOptions = {}): Promise<ModelServer> {
  const { delayMs = 0, finish = "stop", model = "scripted", speech = silence } = options;
  let script: Script = options.script ?? (() => ["an ", "answer ", "[1]"]);
  const faults = new Map<ModelRole, { fault: ModelFault; left: number }>();
  const requests: ModelRequest[] = [];
  const sockets = new Set<Socket>();

  const takeFault = (role: ModelRole): ModelFault | undefined => {
    const planned = faults.get(role);
    if (planned === undefined || planned.left <= 0) return undefined;
    planned.left -= 1;
    return planned.fault;
  };

  const serve = async (request: ModelRequest, response: ServerResponse): Promise<void> => {
    const fault = takeFault(request.role);
    if (fault !== undefined && failAtOnce(fault, response)) return;
    switch (request.role) {
      case "chat":
        await stream(response, script(request), { cut: fault?.kind === "cut", delayMs, finish, model });
        return;
      case "embeddings":
        answer(response, embeddingsOf(request.body), fault);
        return;
      case "rerank":
        answer(response, ranksOf(request.body), fault);
        return;
      case "speech":
        response.writeHead(200, { "content-type": "audio/wav" });
        if (fault?.kind === "cut") cut(response, speech.subarray(0, 20));
        else response.end(speech);
        return;
      default:
        request.role satisfies never;
    }
  };

  const http = createServer((message, response) => {
    const { promise: aborted, resolve } = Promise.withResolvers<void>();
    response.on("close", () => {
      if (!response.writableFinished) resolve();
    });
    response.on("error", () => resolve());
    const chunks: Buffer[] = [];
    let size = 0;
    message.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBodyBytes) message.destroy();
      else chunks.push(chunk);
    });
    message.on("end", () => {
      const path = message.url ?? "";
      const role = roles.find(([suffix]) => path.endsWith(suffix))?.[1];
      if (role === undefined) {
        response.writeHead(path.endsWith("/v1/models") ? 200 : 404, { "content-type": "application/json" });
        response.end(JSON.stringify({ object: "list", data: [] }));
        return;
      }
      const request = { role, path, headers: message.headers, body: recordOf(Buffer.concat(chunks)), aborted };
      requests.push(request);
      // A client that went away ends the script: that is what tests look for in `aborted`.
      serve(request, response).catch(() => response.destroy());
    });
  });
  http.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const address = http.address();
  if (address === null || typeof address === "string") throw new Error("the model server has no port");

  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    of: (role) => requests.filter((request) => request.role === role),
    say: (given) => {
      script = typeof given === "function" ? given : () => given;
    },
    fail: (role, fault, times = Infinity) => {
      if (fault === undefined) faults.delete(role);
      else faults.set(role, { fault, left: times });
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => http.close(() => resolve()));
    },
  };
}

/** True if the fault is the whole answer. */
function failAtOnce(fault: ModelFault, response: ServerResponse): boolean {
  const end = (status: number, contentType: string, body: string, headers = {}): boolean => {
    response.writeHead(status, { "content-type": contentType, ...headers });
    response.end(body);
    return true;
  };
  const error = JSON.stringify({ error: { message: "as the test wants", type: "server_error", code: null } });
  switch (fault.kind) {
    case "status":
      return end(fault.status, fault.contentType ?? "application/json", fault.body ?? error, fault.headers);
    case "html":
      return end(200, "text/html", "<html><body>Bad Gateway</body></html>");
    case "error in 200":
      return end(200, "application/json", error);
    case "silent":
      return true;
    case "cut":
    case "nan":
      return false;
    default:
      return fault satisfies never;
  }
}

async function stream(
  response: ServerResponse,
  pieces: Iterable<string> | AsyncIterable<string>,
  { cut: isCut, delayMs, finish, model }: { cut: boolean; delayMs: number; finish: string; model: string },
): Promise<void> {
  const send = (fields: Record<string, unknown>): boolean =>
    response.write(`data: ${JSON.stringify({ object: "chat.completion.chunk", model, ...fields })}\n\n`);
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.flushHeaders();
  let tokens = 0;
  for await (const content of pieces) {
    if (response.destroyed) return;
    if (delayMs > 0) await sleep(delayMs);
    tokens += 1;
    const roomLeft = send({ choices: [{ index: 0, delta: { content }, finish_reason: null }] });
    if (isCut) {
      cut(response, Buffer.from(":\n\n"));
      return;
    }
    if (!roomLeft) await Promise.race([drained(response), closed(response)]);
  }
  send({ choices: [{ index: 0, delta: {}, finish_reason: finish }] });
  send({ choices: [], usage: { prompt_tokens: 10, completion_tokens: tokens, total_tokens: 10 + tokens } });
  response.end("data: [DONE]\n\n");
}

const drained = (response: ServerResponse) => new Promise<void>((resolve) => response.once("drain", resolve));
const closed = (response: ServerResponse) => new Promise<void>((resolve) => response.once("close", resolve));

function answer(response: ServerResponse, value: unknown, fault: ModelFault | undefined): void {
  const text = JSON.stringify(value);
  response.writeHead(200, { "content-type": "application/json" });
  if (fault?.kind === "cut") cut(response, Buffer.from(text.slice(0, text.length / 2)));
  else response.end(fault?.kind === "nan" ? text.replace(/(?<=[[:,])-?\d+\.\d+/, "NaN") : text);
}

function cut(response: ServerResponse, head: Uint8Array): void {
  response.write(head, () => response.destroy());
}

function recordOf(bytes: Buffer): Record<string, unknown> {
  const value: unknown = bytes.length === 0 ? {} : JSON.parse(bytes.toString());
  return typeof value === "object" && value !== null ? { ...value } : {};
}
