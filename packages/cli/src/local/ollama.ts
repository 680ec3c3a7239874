// A local Ollama: found and offered, never used unasked.

const timeoutMs = 500;
const shownModels = 3;

/** A line that says how to let it write the answers; undefined where none runs or it has no model. Takes half a second at most. */
export async function offerOllama(): Promise<string | undefined> {
  const url = baseUrl(process.env["OLLAMA_HOST"]);
  if (url === undefined) return undefined;
  try {
    const response = await fetch(new URL("/api/tags", url), { signal: AbortSignal.timeout(timeoutMs) });
    const { models } = (await response.json()) as { models?: unknown };
    const names = (Array.isArray(models) ? models : [])
      .map((model: unknown) =>
        typeof model === "object" && model !== null && "name" in model ? model.name : undefined,
      )
      .filter((name): name is string => typeof name === "string" && /^[\w.:/-]{1,100}$/.test(name));
    const [first] = names;
    if (first === undefined) return undefined;
    const list = names.slice(0, shownModels).join(", ");
    return `Ollama runs here with ${list}: let it write the answers with LLM_URL=${url} LLM_MODEL=${first}`;
  } catch {
    return undefined; // none there, or something else: nothing to offer
  }
}

/** Ollama's own variable: a host, a host with port, or a URL. */
function baseUrl(text: string | undefined): string | undefined {
  if (text === undefined || text === "") return "http://127.0.0.1:11434";
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (url === null) return undefined;
  if (url.port === "" && !text.includes("://")) url.port = "11434";
  if (url.hostname === "0.0.0.0") url.hostname = "127.0.0.1";
  return url.origin;
}
