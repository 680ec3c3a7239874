// What children of the local stack see of the environment: an allow-list, and what the stack itself gives them.
import { createHash } from "node:crypto";
import { join } from "node:path";
import { cacheFolder, manifest } from "@pipeline/artifacts";

/** Where programs, home, caches and certificates are. */
const general =
  /^(PATH|HOME|TMPDIR|LANG|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE|SSL_CERT_DIR|PIPELINE_CACHE|XDG_CACHE_HOME|NODE_COMPILE_CACHE)$/;

/** What pip needs to reach its index. */
const downloads =
  /^(VIRTUAL_ENV|PYENV_.*|PIP_.*|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|(HTTPS?|NO|ALL)_PROXY|(https?|no|all)_proxy)$/;

/** The services' own variables: whatever points them elsewhere or tunes them. */
const ofServices =
  /^(NATS_(URL|TOKEN|USER|PASSWORD|CREDS|NKEY|TLS_\w+)(_FILE)?|INSTALLATION|CONCURRENCY|ACK_WAIT|MAX_REPLICAS|PROVISION|STREAM_(REPLICAS|STORAGE)|SHUTDOWN_GRACE|LOG_LEVEL|COLLECTION_NAME|SYSTEM_PROMPT|SOURCES_MAX_CHARS|(V?LLM|EMBEDDINGS|RERANKER|TTS|MILVUS|KNOWLEDGE|HISTORY|RETRIEVAL|ENABLE|OTEL)_\w+)$/;

function pick(...patterns: readonly RegExp[]): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && value !== "" && patterns.some((pattern) => pattern.test(name))) out[name] = value;
  }
  return out;
}

/** For nats-server. */
export const plainEnvironment = () => pick(general);

/** For the embedded inference, which fetches its models. */
export function inferenceEnvironment(): Record<string, string> {
  const own = Object.values(manifest).map(({ variable }) => variable as string);
  return { ...pick(general, downloads), ...pick(new RegExp(`^(${own.join("|")})$`)) };
}

export interface ServiceSurroundings {
  readonly nats: string;
  /** The embedded inference, for roles that no variable points elsewhere. */
  readonly inference: string | undefined;
  readonly healthPort: number;
  /** Folder whose documents are the knowledge base. */
  readonly knowledge: string;
}

/** For a service. Variables that are set win over what the stack would give. */
export function serviceEnvironment({
  nats,
  inference,
  healthPort,
  knowledge,
}: ServiceSurroundings): Record<string, string> {
  const given = pick(general, ofServices);
  const local: Record<string, string> = { LOG_LEVEL: "warn", SHUTDOWN_GRACE: "5s" };
  if (inference !== undefined) {
    for (const role of modelRoles) if (!isPointed(role)) local[role.variable] = inference;
  }
  if (given["MILVUS_URL"] === undefined && given["MILVUS_HOST"] === undefined && given["KNOWLEDGE_DIR"] === undefined) {
    local["KNOWLEDGE_DIR"] = knowledge;
    const name = createHash("sha256").update(knowledge).digest("hex").slice(0, 12);
    local["KNOWLEDGE_CACHE"] = join(cacheFolder(), `knowledge-${name}`);
  }
  return { ...local, ...given, NATS_URL: nats, HEALTH_HOST: "127.0.0.1", HEALTH_PORT: String(healthPort) };
}

interface ModelRole {
  readonly role: string;
  readonly variable: string;
  readonly aliases: readonly string[];
}

/** Model servers that the embedded inference stands in for. */
export const modelRoles: readonly ModelRole[] = [
  { role: "llm", variable: "LLM_URL", aliases: ["VLLM_URL"] },
  { role: "embeddings", variable: "EMBEDDINGS_URL", aliases: [] },
  { role: "reranker", variable: "RERANKER_URL", aliases: [] },
];

/** Where a variable points a role, if one does. */
export function isPointed({ variable, aliases }: ModelRole): string | undefined {
  return [variable, ...aliases].map((name) => process.env[name]).find((value) => value !== undefined && value !== "");
}
