// Vector store on Milvus through its REST interface, version 2.
// I1: an answer of HTTP 200 counts only when its code is 0. I2: no value ever becomes part of a filter's text: filters are templates.
// I3: dense and keyword rankings are fused by the server where the collection has a BM25 field; else the dense one alone is asked.
import { HandlerError } from "../error.ts";
import { isRecord, numberOf, parseJson, readText, stringOf, type JsonRecord } from "../inference/json.ts";
import type { CallOptions, ClientOptions } from "../inference/options.ts";
import { openPool } from "../inference/pool.ts";
import { milvusError } from "./milvus-failure.ts";
import { distanceToScore, integer, numbers, rows, toPassage, toRow } from "./milvus-rows.ts";
import { collectionBody, readSchema, type FieldNames, type Schema } from "./milvus-schema.ts";
import { checkQuery, otherDimensions } from "./query.ts";
import { maxLimit, type VectorStore } from "./store.ts";

export interface MilvusOptions extends Omit<ClientOptions, "urls" | "model" | "apiKey"> {
  /** "http://host:19530" */
  readonly url: string;
  /** A token or "user:password". */
  readonly token?: string;
  /** Default: the server's default database. */
  readonly database?: string;
  /** Fields of collections that others made. Default: text, title, section, position, uri. */
  readonly fields?: Partial<FieldNames>;
}

/** Rank constant of reciprocal rank fusion. */
const fusionConstant = 60;
const maxAnswerBytes = 64 * 1024 * 1024;
/** Passages per upsert: far below the 64 MB that Milvus takes, vectors of 4096 dimensions included. */
const upsertBatch = 200;
const idBatch = 1000;
/** Candidates of each ranking before they are fused. */
const minCandidates = 50;

export function openMilvus(options: MilvusOptions): VectorStore {
  const { url, token, database, fields: own, ...client } = options;
  const pool = openPool(
    "vector",
    {
      ...client,
      urls: [url],
      headers: { "accept-type-allow-int64": "true", ...client.headers },
      ...(token !== undefined && { apiKey: token }),
    },
    "/v2/vectordb/collections/list",
  );
  const fields: FieldNames = {
    text: "text",
    title: "title",
    section: "section",
    position: "position",
    uri: "uri",
    ...own,
  };
  for (const name of Object.values(fields)) {
    if (!/^[A-Za-z_]\w{0,254}$/.test(name))
      throw new HandlerError(`"${name}" is no name of a Milvus field`, "invalid_argument");
  }
  const schemas = new Map<string, Schema>();

  const call = async (
    path: string,
    { collection, open = false, ...body }: JsonRecord & { collection: string; open?: boolean },
    callOptions: CallOptions,
  ): Promise<unknown> => {
    const operation = path.slice(path.indexOf("/") + 1);
    using exchange = pool.begin({ operation, model: undefined }, callOptions);
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
      const answer = parseJson(await readText(reply.body, maxAnswerBytes, reply.from), reply.from);
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
      schemas.delete(collection); // the collection may have been made anew with another shape
      throw exchange.failed(reason);
    }
  };

  const describe = async (collection: string, callOptions: CallOptions): Promise<Schema> => {
    const known = schemas.get(collection);
    if (known !== undefined) return known;
    const schema = readSchema(await call("collections/describe", { collection, open: true }, callOptions));
    schemas.set(collection, schema);
    return schema;
  };

  const has = async (collection: string, callOptions: CallOptions): Promise<boolean> => {
    const data = await call("collections/has", { collection, open: true }, callOptions);
    return isRecord(data) && data["has"] === true;
  };

  return {
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
    has,
    flush: async () => {}, // an answered upsert is in the write-ahead log already
    async search(query, callOptions) {
      const { collection, limit } = query;
      const schema = await describe(collection, callOptions);
      const { vector, text } = checkQuery(query, {
        dimensions: schema.dimensions,
        keywords: schema.keywordField !== undefined,
      });
      const outputFields = Object.values(fields).filter(schema.has);
      const dense = vector && { data: [numbers(vector)], annsField: schema.vectorField };
      const sparse = text !== undefined &&
        schema.keywordField !== undefined && { data: [text], annsField: schema.keywordField };
      const candidates = Math.min(maxLimit, Math.max(minCandidates, limit * 2));
      const common = { collection, limit, outputFields };
      const data =
        dense && sparse
          ? await call(
              "entities/hybrid_search",
              {
                ...common,
                search: [
                  { ...dense, limit: candidates, metricType: schema.metric },
                  { ...sparse, limit: candidates, metricType: "BM25" },
                ],
                rerank: { strategy: "rrf", params: { k: fusionConstant } },
              },
              callOptions,
            )
          : await call("entities/search", { ...common, ...(dense || sparse) }, callOptions);
      const score = dense && sparse ? Number : dense ? distanceToScore(schema.metric) : Math.abs; // Milvus Lite's BM25 is negative
      return rows(data).map((row) => toPassage(row, { fields, primaryKey: schema.primaryKey, score }));
    },
    async upsert(collection, passages, callOptions) {
      const schema = await describe(collection, callOptions);
      for (let from = 0; from < passages.length; from += upsertBatch) {
        const batch = passages.slice(from, from + upsertBatch);
        const data = batch.map((passage) => toRow(passage, { fields, schema, collection }));
        await call("entities/upsert", { collection, data }, callOptions);
      }
    },
    async create(collection, { dimensions }, callOptions) {
      if (await has(collection, callOptions)) {
        const existing = (await describe(collection, callOptions)).dimensions;
        if (existing !== dimensions) throw otherDimensions(collection, existing, dimensions);
        return;
      }
      if (dimensions < 1) throw new HandlerError("a Milvus collection needs vectors", "invalid_argument");
      const body = collectionBody(collection, dimensions, fields);
      await call("collections/create", { collection, open: true, ...body }, callOptions);
    },
    async drop(collection, callOptions) {
      schemas.delete(collection);
      if (await has(collection, callOptions)) await call("collections/drop", { collection, open: true }, callOptions);
    },
    async list(collection, uri, callOptions) {
      const { primaryKey } = await describe(collection, callOptions);
      const data = await call(
        "entities/query",
        {
          collection,
          filter: `${fields.uri} == {uri}`,
          exprParams: { uri },
          outputFields: [primaryKey, fields.position],
          limit: maxLimit,
        },
        callOptions,
      );
      return rows(data).map((row) => ({ id: String(row[primaryKey]), position: integer(row[fields.position]) }));
    },
    async delete(collection, ids, callOptions) {
      const { primaryKey } = await describe(collection, callOptions);
      for (let from = 0; from < ids.length; from += idBatch) {
        const filter = `${primaryKey} in {ids}`;
        await call(
          "entities/delete",
          { collection, filter, exprParams: { ids: ids.slice(from, from + idBatch) } },
          callOptions,
        );
      }
    },
    async retain(collection, uris, callOptions) {
      await describe(collection, callOptions);
      await call(
        "entities/delete",
        { collection, filter: `${fields.uri} not in {uris}`, exprParams: { uris } },
        callOptions,
      );
    },
  };
}
