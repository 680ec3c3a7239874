// One call of Milvus's REST interface, version 2.
// I1: an answer of HTTP 200 counts only when its code is 0.
// I2: an integer beyond 2^53 comes out as its digits in a string, never rounded: such are the ids that Milvus makes itself.
import { HandlerError } from "../error.ts";
import { isRecord, numberOf, parseJson, readText, stringOf, type JsonRecord } from "../inference/json.ts";
import type { CallOptions, ClientOptions } from "../inference/options.ts";
import { openPool } from "../inference/pool.ts";
import { milvusError } from "./milvus-failure.ts";

export interface MilvusServer extends ClientOptions {
  /** Default: the server's default database. */
  readonly database?: string;
}

export interface MilvusRequest {
  /** "entities/search" */
  readonly path: string;
  readonly collection: string;
  readonly body?: JsonRecord;
  /** Nothing of any user or document is in the request, so the server's message may be passed on. */
  readonly open?: boolean;
}

export interface MilvusCalls extends AsyncDisposable {
  /** The answer's `data`. Throws HandlerError. */
  readonly call: (request: MilvusRequest, options: CallOptions) => Promise<unknown>;
}

const maxAnswerBytes = 64 * 1024 * 1024;

export function openMilvusCalls({ database, ...client }: MilvusServer): MilvusCalls {
  const pool = openPool("vector", client, "/v2/vectordb/collections/list");
  return {
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
    async call({ path, collection, body, open = false }, options) {
      const operation = path.slice(path.indexOf("/") + 1);
      using exchange = pool.begin({ operation, model: undefined }, options);
      try {
        await using reply = await exchange.send({
          method: "POST",
          path: `/v2/vectordb/${path}`,
          body: JSON.stringify({
            ...(database !== undefined && { dbName: database }),
            collectionName: collection,
            ...body,
          }),
        });
        const answer = parseExact(await readText(reply.body, maxAnswerBytes, reply.from), reply.from);
        const code = isRecord(answer) ? numberOf(answer["code"]) : undefined;
        if (!isRecord(answer) || code === undefined)
          throw new HandlerError(`${reply.from} does not answer as Milvus does`, "unavailable");
        if (code !== 0) {
          const message = open ? stringOf(answer["message"]) : undefined;
          throw milvusError({ code, message, operation, collection });
        }
        exchange.done();
        return answer["data"];
      } catch (reason) {
        throw exchange.failed(reason);
      }
    },
  };
}

/** The JSON of a text, with integers that a number cannot hold as strings. I2 */
function parseExact(text: string, from: string): unknown {
  if (!/\d{16}/.test(text)) return parseJson(text, from); // the usual answer holds none, and a reviver is slow
  const exact = (_key: string, value: unknown, context?: { source?: string }): unknown =>
    typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value)
      ? (context?.source ?? value)
      : value;
  try {
    return JSON.parse(text, exact);
  } catch {
    return parseJson(text, from); // says what is wrong with it
  }
}
