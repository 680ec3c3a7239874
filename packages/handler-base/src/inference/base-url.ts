// How a model server's URL is read: any of http://h:8000, …/v1, …/llm, …/llm/v1 or the full path of the call means the same server.
// I1: credentials of the URL never reach a message; they travel only as an Authorization header.
import { HandlerError } from "../error.ts";

export interface BaseUrl {
  /** Scheme, host and port: what a connection pool is made for. */
  readonly origin: string;
  readonly host: string;
  /** Path in front of every call, without "/v1" and without a slash at the end. */
  readonly prefix: string;
  /** Query that every call carries ("" or "?api-version=…"). */
  readonly search: string;
  /** Value of the Authorization header that the URL's credentials make. */
  readonly authorization: string | undefined;
  /** What messages may show. */
  readonly display: string;
}

const callSuffix = /\/(?:v\d+\/)(?:chat\/completions|embeddings|rerank|score|models|vectordb)$/;
const versionSuffix = /\/v1$/;

/**
 * Reads the base URL of a server. Throws `invalid_argument`, without the URL in the message as it may hold a password,
 * when it is no http or https URL.
 */
export function parseBaseUrl(text: string, role: string): BaseUrl {
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:") || url.hostname === "") {
    throw new HandlerError(`the URL of the ${role} server is not an http or https URL`, "invalid_argument");
  }
  const path = url.pathname.replace(/\/+$/, "").replace(callSuffix, "").replace(versionSuffix, "");
  const credentials =
    url.username === "" && url.password === "" ? undefined : `${decoded(url.username)}:${decoded(url.password)}`;
  return {
    origin: url.origin,
    host: url.hostname,
    prefix: path,
    search: url.search,
    authorization: credentials === undefined ? undefined : `Basic ${Buffer.from(credentials).toString("base64")}`,
    display: `${url.origin}${path}`,
  };
}

/** A password may hold a percent sign that nobody escaped. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // taken as it stands
  }
}
