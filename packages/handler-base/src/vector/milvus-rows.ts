// Passages as rows of Milvus and back.
import { searchText } from "./collection.ts";
import { isRecord, listOf, numberOf, stringOf, type JsonRecord } from "../inference/json.ts";
import { keywordText, type FieldNames, type Schema } from "./milvus-schema.ts";
import type { Passage, PassageInput } from "./store.ts";

/** A passage as a row; parts that the collection has no field for are left out. */
export function toRow(passage: PassageInput, { fields, schema }: { fields: FieldNames; schema: Schema }): JsonRecord {
  const { vector } = passage;
  const parts: JsonRecord = {
    [fields.text]: passage.text,
    [fields.title]: passage.title,
    [fields.section]: passage.section,
    [fields.position]: passage.position,
    [fields.uri]: passage.uri ?? "",
    [schema.primaryKey]: passage.id,
    [keywordText]: searchText(passage),
    ...(schema.vectorField !== undefined && vector !== undefined && { [schema.vectorField]: numbers(vector) }),
  };
  return Object.fromEntries(Object.entries(parts).filter(([name]) => schema.has(name)));
}

/** JSON numbers of as many digits as 32 bits hold: half the length of what JavaScript would write. */
export function numbers(vector: Float32Array): number[] {
  return Array.from(vector, (value) => Number(value.toPrecision(9)));
}

export function rows(data: unknown): JsonRecord[] {
  return (listOf(data) ?? []).filter(isRecord);
}

export function integer(value: unknown): number {
  return numberOf(Number(value)) ?? 0; // Int64 comes as a string
}

/** Higher fits better, also where the metric is a distance. */
export function distanceToScore(metric: string): (distance: number) => number {
  return metric === "L2" ? (distance) => 1 / (1 + distance) : Number;
}

export function toPassage(
  row: JsonRecord,
  { fields, primaryKey, score }: { fields: FieldNames; primaryKey: string; score: (distance: number) => number },
): Passage {
  const uri = stringOf(row[fields.uri]) ?? "";
  return {
    id: String(row[primaryKey] ?? row["id"]),
    text: stringOf(row[fields.text]) ?? "",
    title: stringOf(row[fields.title]) ?? "",
    section: stringOf(row[fields.section]) ?? "",
    position: integer(row[fields.position]),
    ...(uri !== "" && { uri }),
    score: score(numberOf(row["distance"]) ?? 0),
  };
}
