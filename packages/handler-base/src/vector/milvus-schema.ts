// Collections of Milvus: how ours are made, and what an existing one can do.
import { isRecord, listOf, numberOf, stringOf, type JsonRecord } from "../inference/json.ts";

/** Names of a collection's fields that hold the parts of a passage. */
export interface FieldNames {
  readonly text: string;
  readonly title: string;
  readonly section: string;
  readonly position: string;
  readonly uri: string;
}

export interface Schema {
  readonly primaryKey: string;
  readonly vectorField: string | undefined;
  readonly dimensions: number;
  /** Of the dense vectors. */
  readonly metric: string;
  /** Filled by a BM25 function: keyword search is possible. */
  readonly keywordField: string | undefined;
  readonly has: (field: string) => boolean;
}

const vectorField = "vector";
const keywordField = "sparse";
const maxTextBytes = 65_535;

function words(fieldName: string, max: number, more: JsonRecord = {}): JsonRecord {
  return { fieldName, dataType: "VarChar", elementTypeParams: { max_length: max, ...more } };
}

/** Body of `/collections/create` for a collection of ours: dense vectors by cosine, keywords by BM25. */
export function collectionBody(name: string, dimensions: number, fields: FieldNames): JsonRecord {
  return {
    collectionName: name,
    schema: {
      autoId: false,
      enableDynamicField: false,
      fields: [
        { ...words("id", 64), isPrimary: true },
        words(fields.text, maxTextBytes, { enable_analyzer: true }),
        words(fields.title, 1024),
        words(fields.section, 2048),
        words(fields.uri, 2048),
        { fieldName: fields.position, dataType: "Int64" },
        { fieldName: vectorField, dataType: "FloatVector", elementTypeParams: { dim: dimensions } },
        { fieldName: keywordField, dataType: "SparseFloatVector" },
      ],
      functions: [
        { name: "bm25", type: "BM25", inputFieldNames: [fields.text], outputFieldNames: [keywordField], params: {} },
      ],
    },
    indexParams: [
      { fieldName: vectorField, indexName: vectorField, indexType: "AUTOINDEX", metricType: "COSINE" },
      { fieldName: keywordField, indexName: keywordField, indexType: "SPARSE_INVERTED_INDEX", metricType: "BM25" },
    ],
  };
}

/** What the answer of `/collections/describe` says. */
export function readSchema(description: unknown): Schema {
  const top = isRecord(description) ? description : {};
  const fields = records(top["fields"]);
  const dense = fields.find((field) => field["type"] === "FloatVector");
  const produced = new Set(records(top["functions"]).flatMap((each) => listOf(each["outputFieldNames"]) ?? []));
  const sparse = fields.find((field) => field["type"] === "SparseFloatVector" && produced.has(field["name"]));
  const index = records(top["indexes"]).find((each) => each["fieldName"] === dense?.["name"]);
  const names = new Set(fields.map((field) => field["name"]));
  const dynamic = top["enableDynamicField"] === true;
  return {
    primaryKey: stringOf(fields.find((field) => field["primaryKey"] === true)?.["name"]) ?? "id",
    vectorField: stringOf(dense?.["name"]),
    dimensions: dimensionsOf(dense),
    metric: stringOf(index?.["metricType"]) ?? "COSINE",
    keywordField: stringOf(sparse?.["name"]),
    has: (field) => dynamic || names.has(field),
  };
}

function records(value: unknown): JsonRecord[] {
  return (listOf(value) ?? []).filter(isRecord);
}

function dimensionsOf(field: JsonRecord | undefined): number {
  const value = records(field?.["params"]).find((param) => param["key"] === "dim")?.["value"];
  return numberOf(Number(value)) ?? 0;
}
