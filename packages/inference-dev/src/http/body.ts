// The JSON body of a request, bounded before it is parsed.
import type { IncomingMessage } from "node:http";
import { isRecord, type JsonRecord } from "../json.ts";
import { ApiError, badRequest } from "./api-error.ts";

export const maxBodyBytes = 8 * 1024 * 1024;

/** Throws ApiError: 413 beyond the limit, 400 for what is no JSON object. */
export async function readBody(request: IncomingMessage): Promise<JsonRecord> {
  const tooLarge = () =>
    new ApiError(413, `the body is larger than ${maxBodyBytes} bytes`, {
      code: "request_too_large",
      headers: { connection: "close" }, // what is still coming must not be read as the next request
    });
  if (Number(request.headers["content-length"] ?? 0) > maxBodyBytes) throw tooLarge();
  const parts: Buffer[] = [];
  let size = 0;
  // no `for await`: leaving it would destroy the socket before the refusal is written
  await new Promise<void>((resolve, reject) => {
    request.on("data", (part: Buffer) => {
      size += part.length;
      if (size <= maxBodyBytes) parts.push(part);
      else reject(tooLarge());
    });
    request.once("end", resolve);
    request.once("error", reject);
    request.once("close", () => reject(new Error("the request was cut")));
  });
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(parts)));
  } catch {
    // the parser's own message quotes the body
    throw badRequest("the body is not JSON");
  }
  if (!isRecord(value)) throw badRequest("the body must be a JSON object");
  return value;
}
