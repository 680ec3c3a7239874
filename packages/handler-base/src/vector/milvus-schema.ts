// Collections of Milvus: how ours are made, and what an existing one can do.
// I1: a field's name stands in filters as it is, so it must be a name and nothing else, whoever gave it.
import { HandlerError } from "../error.ts";
import { isRecord, listOf, numberOf, stringOf, type JsonRecord } from "../inference/json.ts";
import { shown } from "./query.ts";

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
  /** The key is an Int64, which others gave or the server made. */
  readonly keyIsNumber: boolean;
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
/** What the keyword index counts: title, section and text, as in the embedded store. */
export const keywordText = "keywords";
const maxTextBytes = 65_535;
const denseTypes: readonly unknown[] = ["FloatVector", "Float16Vector", "BFloat16Vector"];

function words(fieldName: string, max: number, more: JsonRecord = {}): JsonRecord {
  return { fieldName, dataType: "VarChar", elementTypeParams: { max_length: max, ...more } };
}

/** Body of `/collections/create` for a collection of ours: dense vectors by cosine, keywords by BM25. */
export function collectionBody(dimensions: number, fields: FieldNames): JsonRecord {
  return {
    schema: {
      autoId: false,
      enableDynamicField: false,
      fields: [
        { ...words("id", 64), isPrimary: true },
        words(fields.text, maxTextBytes),
        words(keywordText, maxTextBytes, { enable_analyzer: true }),
        words(fields.title, 1024),
        words(fields.section, 2048),
        words(fields.uri, 2048),
        { fieldName: fields.position, dataType: "Int64" },
        { fieldName: vectorField, dataType: "FloatVector", elementTypeParams: { dim: dimensions } },
        { fieldName: keywordField, dataType: "SparseFloatVector" },
      ],
      functions: [
        { name: "bm25", type: "BM25", inputFieldNames: [keywordText], outputFieldNames: [keywordField], params: {} },
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
  const dense = fields.find((field) => denseTypes.includes(field["type"]));
  const key = fields.find((field) => field["primaryKey"] === true);
  const produced = new Set(records(top["functions"]).flatMap((each) => listOf(each["outputFieldNames"]) ?? []));
  const sparse = fields.find((field) => field["type"] === "SparseFloatVector" && produced.has(field["name"]));
  const index = records(top["indexes"]).find((each) => each["fieldName"] === dense?.["name"]);
  const names = new Set(fields.map((field) => field["name"]));
  const dynamic = top["enableDynamicField"] === true;
  return {
    primaryKey: checkedName(key?.["name"]) ?? "id",
    keyIsNumber: key?.["type"] === "Int64",
    vectorField: stringOf(dense?.["name"]),
    dimensions: dimensionsOf(dense),
    metric: stringOf(index?.["metricType"]) ?? "COSINE",
    keywordField: stringOf(sparse?.["name"]),
    has: (field) => dynamic || names.has(field),
  };
}

/** Names of the fields, the given ones in place of ours. Throws `invalid_argument` for what is no name. I1 */
export function checkFields(own: Partial<FieldNames> = {}): FieldNames {
  const fields = { text: "text", title: "title", section: "section", position: "position", uri: "uri", ...own };
  for (const name of Object.values(fields)) {
    if (checkedName(name) === undefined)
      throw new HandlerError(`"${name}" is no name of a Milvus field`, "invalid_argument");
  }
  return fields;
}

/** Throws `failed_precondition` unless passages can be stored and told apart by document in the collection. */
export function writable(schema: Schema, fields: FieldNames, collection: string): void {
  const missing = [fields.text, fields.uri, fields.position].filter((field) => !schema.has(field));
  const why =
    missing.length > 0
      ? `it has no field ${missing.join(", ")}`
      : schema.keyIsNumber
        ? "its key is a number"
        : undefined;
  if (why !== undefined) {
    throw new HandlerError(
      `the collection ${shown(collection)} cannot be filled from here: ${why}`,
      "failed_precondition",
    );
  }
}

function checkedName(value: unknown): string | undefined {
  return typeof value === "string" && /^[A-Za-z_]\w{0,254}$/.test(value) ? value : undefined;
}

function records(value: unknown): JsonRecord[] {
  return (listOf(value) ?? []).filter(isRecord);
}

function dimensionsOf(field: JsonRecord | undefined): number {
  const value = records(field?.["params"]).find((param) => param["key"] === "dim")?.["value"];
  return numberOf(Number(value)) ?? 0;
}
