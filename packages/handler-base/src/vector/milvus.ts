// Vector store on Milvus through its REST interface, version 2.
// I1: no value ever becomes part of a filter's text: filters are templates. Only ids of an Int64 key stand in one, after their digits
// have been checked, because a JSON number cannot hold them.
// I2: dense and keyword rankings are fused by the server where the collection has a BM25 field; else the dense one alone is asked.
import { HandlerError } from "../error.ts";
import { isRecord } from "../inference/json.ts";
import type { CallOptions, ClientOptions } from "../inference/options.ts";
import { openMilvusCalls } from "./milvus-call.ts";
import { distanceToScore, integer, numbers, rows, toPassage, toRow } from "./milvus-rows.ts";
import { checkFields, collectionBody, readSchema, writable, type FieldNames, type Schema } from "./milvus-schema.ts";
import { checkDimensions, checkQuery, checkVector, otherDimensions, shown } from "./query.ts";
import { maxLimit, type SearchQuery, type StoredPassage, type VectorStore } from "./store.ts";

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
/** Passages of one upsert, and numbers in their vectors: far below the 64 MB that Milvus takes. */
const upsertBatch = 200;
const upsertNumbers = 1_000_000;
const idBatch = 1000;
/** Positions of one look at what is stored of a document: twice as many rows are still within Milvus's limit. */
const listWindow = maxLimit / 2;
/** Candidates of each ranking before they are fused. */
const minCandidates = 50;

export function openMilvus(options: MilvusOptions): VectorStore {
  const { url, token, fields: own, ...client } = options;
  const fields = checkFields(own);
  const server = openMilvusCalls({ ...client, urls: [url], ...(token !== undefined && { apiKey: token }) });
  const schemas = new Map<string, Schema>();

  const call: typeof server.call = async (request, callOptions) => {
    try {
      return await server.call(request, callOptions);
    } catch (reason) {
      schemas.delete(request.collection); // it may have been made anew with another shape
      throw reason;
    }
  };

  const describe = async (collection: string, callOptions: CallOptions): Promise<Schema> => {
    const schema = readSchema(await call({ path: "collections/describe", collection, open: true }, callOptions));
    schemas.set(collection, schema);
    return schema;
  };

  /** Schema of a collection, looked at again when vectors of this length do not fit the one that is known. */
  const schemaFor = async (collection: string, vector: Float32Array | undefined, callOptions: CallOptions) => {
    const known = schemas.get(collection);
    const fits = known !== undefined && (vector === undefined || vector.length === known.dimensions);
    return fits ? known : await describe(collection, callOptions);
  };

  const has = async (collection: string, callOptions: CallOptions): Promise<boolean> => {
    const data = await call({ path: "collections/has", collection, open: true }, callOptions);
    return isRecord(data) && data["has"] === true;
  };

  const ask = async (query: SearchQuery, schema: Schema, callOptions: CallOptions) => {
    const { collection, limit } = query;
    const { vector, text } = checkQuery(query, {
      dimensions: schema.dimensions,
      keywords: schema.keywordField !== undefined,
    });
    const dense = vector && { data: [numbers(vector)], annsField: schema.vectorField };
    const sparse =
      text === undefined || schema.keywordField === undefined
        ? undefined
        : { data: [text], annsField: schema.keywordField };
    const common = { limit, outputFields: Object.values(fields).filter(schema.has) };
    if (dense === undefined || sparse === undefined) {
      const data = await call(
        { path: "entities/search", collection, body: { ...common, ...dense, ...sparse } },
        callOptions,
      );
      // Milvus Lite's BM25 is negative
      return { data, score: dense === undefined ? Math.abs : distanceToScore(schema.metric) };
    }
    const candidates = Math.min(maxLimit, Math.max(minCandidates, limit * 2));
    const body = {
      ...common,
      search: [
        { ...dense, limit: candidates, metricType: schema.metric },
        { ...sparse, limit: candidates, metricType: "BM25" },
      ],
      rerank: { strategy: "rrf", params: { k: fusionConstant } },
    };
    return { data: await call({ path: "entities/hybrid_search", collection, body }, callOptions), score: Number };
  };

  const remove = async (collection: string, filter: string, exprParams: object, callOptions: CallOptions) => {
    await call({ path: "entities/delete", collection, body: { filter, exprParams } }, callOptions);
  };

  return {
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    has,
    flush: async () => {}, // an answered upsert is in the write-ahead log already
    async search(query, callOptions) {
      const schema = await schemaFor(query.collection, query.vector, callOptions);
      if (!schema.has(fields.text)) {
        throw new HandlerError(
          `the collection ${shown(query.collection)} has no field "${fields.text}": name the one that holds the text`,
          "failed_precondition",
        );
      }
      const { data, score } = await ask(query, schema, callOptions);
      return rows(data).map((row) => toPassage(row, { fields, primaryKey: schema.primaryKey, score }));
    },
    async upsert(collection, passages, callOptions) {
      const schema = await schemaFor(collection, passages[0]?.vector, callOptions);
      writable(schema, fields, collection);
      for (const { vector } of passages) checkVector(collection, schema.dimensions, vector);
      const size = Math.max(1, Math.min(upsertBatch, Math.floor(upsertNumbers / Math.max(1, schema.dimensions))));
      for (let from = 0; from < passages.length; from += size) {
        const data = passages.slice(from, from + size).map((passage) => toRow(passage, { fields, schema }));
        await call({ path: "entities/upsert", collection, body: { data } }, callOptions);
      }
    },
    async create(collection, { dimensions }, callOptions) {
      checkDimensions(dimensions);
      if (dimensions === 0) throw new HandlerError("a Milvus collection needs vectors", "invalid_argument");
      if (await has(collection, callOptions)) {
        const existing = (await describe(collection, callOptions)).dimensions;
        if (existing !== dimensions) throw otherDimensions(collection, existing, dimensions);
        return;
      }
      const body = collectionBody(dimensions, fields);
      await call({ path: "collections/create", collection, body, open: true }, callOptions);
    },
    async drop(collection, callOptions) {
      schemas.delete(collection);
      if (await has(collection, callOptions)) {
        await call({ path: "collections/drop", collection, open: true }, callOptions);
      }
    },
    async list(collection, uri, callOptions) {
      const schema = await schemaFor(collection, undefined, callOptions);
      const { primaryKey } = schema;
      writable(schema, fields, collection);
      const stored: StoredPassage[] = [];
      for (let from = 0; ; from += listWindow) {
        const body = {
          filter: `${fields.uri} == {uri} and ${fields.position} >= {from} and ${fields.position} < {to}`,
          exprParams: { uri, from, to: from + listWindow },
          outputFields: [primaryKey, fields.position],
          limit: maxLimit,
        };
        const found = rows(await call({ path: "entities/query", collection, body }, callOptions));
        for (const row of found) stored.push({ id: String(row[primaryKey]), position: integer(row[fields.position]) });
        if (found.length < listWindow) return stored; // positions have no gaps: a window that is not full is the last
      }
    },
    async delete(collection, ids, callOptions) {
      const { primaryKey, keyIsNumber } = await schemaFor(collection, undefined, callOptions);
      for (let from = 0; from < ids.length; from += idBatch) {
        const batch = ids.slice(from, from + idBatch);
        if (keyIsNumber) await remove(collection, `${primaryKey} in [${wholeNumbers(batch)}]`, {}, callOptions);
        else await remove(collection, `${primaryKey} in {ids}`, { ids: batch }, callOptions);
      }
    },
    async retain(collection, uris, callOptions) {
      writable(await schemaFor(collection, undefined, callOptions), fields, collection);
      // an empty list is no value of a template
      if (uris.length === 0) await remove(collection, `${fields.position} >= {first}`, { first: 0 }, callOptions);
      else await remove(collection, `${fields.uri} not in {uris}`, { uris }, callOptions);
    },
  };
}

// I1
function wholeNumbers(ids: readonly string[]): string {
  if (!ids.every((id) => /^-?\d{1,19}$/.test(id)))
    throw new HandlerError("an id of this collection must be a whole number", "invalid_argument");
  return ids.join(", ");
}
