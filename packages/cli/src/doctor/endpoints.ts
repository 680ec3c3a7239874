// Model servers and the vector store that the services' variables name: whether something answers there.
import { defineConfig, env, type Config, type Values } from "@pipeline/handler-base/config";
import { withoutSecrets } from "@pipeline/handler-base/operations";
import { error, ok, warning, type Finding } from "./finding.ts";

const variables = {
  llm: env.urls("LLM_URL", { aliases: ["VLLM_URL"], optional: true, doc: "Language model" }),
  embeddings: env.urls("EMBEDDINGS_URL", { optional: true, doc: "Embeddings model" }),
  reranker: env.urls("RERANKER_URL", { optional: true, doc: "Reranker" }),
  milvus: env.url("MILVUS_URL", {
    aliases: ["MILVUS_HOST"],
    optional: true,
    bareHost: { scheme: "http", port: 19_530 },
    doc: "Milvus",
  }),
};
const config: Config<Values<typeof variables>> = defineConfig(variables);
const timeoutMs = 5000;

/** Asks each server that a variable names. Throws a ConfigError on a value that is no URL. */
export async function endpoints(signal: AbortSignal): Promise<Finding[]> {
  const { llm = [], embeddings = [], reranker = [], milvus } = config.read();
  const asked = [
    ...llm.map((url) => ask("LLM_URL", url, "/v1/models", signal)),
    ...embeddings.map((url) => ask("EMBEDDINGS_URL", url, "/v1/models", signal)),
    ...reranker.map((url) => ask("RERANKER_URL", url, "/v1/models", signal)),
    ...(milvus === undefined ? [] : [ask("MILVUS_URL", milvus, "/v2/vectordb/collections/list", signal)]),
  ];
  return Promise.all(asked);
}

/** Any answer below 500 is one of a server that is there: not every dialect has the path. */
async function ask(variable: string, base: string, path: string, signal: AbortSignal): Promise<Finding> {
  const where = `${variable} ${withoutSecrets(base)}`;
  const url = new URL(base);
  const [user, password] = [url.username, url.password];
  url.username = "";
  url.password = "";
  url.pathname = url.pathname.replace(/(\/v1)?\/*$/, "") + path;
  try {
    const response = await fetch(url, {
      method: variable === "MILVUS_URL" ? "POST" : "GET",
      headers: {
        ...(variable === "MILVUS_URL" && { "content-type": "application/json" }),
        ...(user !== "" && {
          authorization: `Basic ${Buffer.from(`${decodeURIComponent(user)}:${decodeURIComponent(password)}`).toString("base64")}`,
        }),
      },
      ...(variable === "MILVUS_URL" && { body: "{}" }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    await response.body?.cancel();
    if (response.status >= 500)
      return error(`${where} answers with status ${response.status}`, "look at the server's log");
    if (response.status === 401 || response.status === 403) {
      return warning(`${where} is there and wants a key (status ${response.status})`, "see that the service has it");
    }
    return ok(`${where} answers`);
  } catch (reason) {
    signal.throwIfAborted();
    const cause: unknown = reason instanceof Error && reason.cause instanceof Error ? reason.cause : reason;
    const code =
      cause instanceof Error && "code" in cause ? String(cause.code) : cause instanceof Error ? cause.name : "";
    return error(`${where} does not answer (${code})`, `start the server or change ${variable}`);
  }
}
