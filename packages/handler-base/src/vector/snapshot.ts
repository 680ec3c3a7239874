// The file of an embedded store: all collections in one, written beside and renamed, so that a reader sees the old or the new one.
// Layout: magic, length of the JSON (u32 LE), JSON, vectors one after the other (float32 LE), SHA-256 of all before it.
import { createHash, randomBytes } from "node:crypto";
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { HandlerError } from "../error.ts";
import { isRecord, listOf, numberOf, stringOf } from "../inference/json.ts";
import { createCollection, type Collection } from "./collection.ts";

const magic = Buffer.from("PIPEVEC1");
const digestBytes = 32;

/** Changes whenever the file does; undefined while there is none. */
export async function snapshotVersion(path: string): Promise<string | undefined> {
  try {
    const { ino, size, mtimeMs } = await stat(path);
    return `${ino}:${size}:${mtimeMs}`;
  } catch (reason) {
    if (isRecord(reason) && reason["code"] === "ENOENT") return undefined;
    throw new HandlerError(`the vector store's file ${path} cannot be read`, "unavailable", { cause: reason });
  }
}

/** Collections of a file. Throws `data_loss` when it is not whole. */
export async function readSnapshot(path: string): Promise<Map<string, Collection>> {
  const file = await readFile(path);
  const body = file.subarray(0, -digestBytes);
  const whole =
    file.length > magic.length + 4 + digestBytes &&
    file.subarray(0, magic.length).equals(magic) &&
    createHash("sha256").update(body).digest().equals(file.subarray(-digestBytes));
  if (!whole)
    throw new HandlerError(`the vector store's file ${path} is damaged: remove it and index again`, "data_loss");
  const start = magic.length + 4;
  const end = start + file.readUInt32LE(magic.length);
  const header: unknown = JSON.parse(file.toString("utf8", start, end));
  const collections = new Map<string, Collection>();
  let at = end;
  for (const each of listOf(header) ?? []) {
    if (!isRecord(each)) continue;
    const collection = createCollection(numberOf(each["dimensions"]) ?? 0);
    for (const row of listOf(each["passages"]) ?? []) {
      if (!isRecord(row)) continue;
      const size = row["vector"] === true ? collection.dimensions : 0;
      const vector = Float32Array.from({ length: size }, (_, index) => body.readFloatLE(at + index * 4));
      at += size * 4;
      const uri = stringOf(row["uri"]);
      collection.put({
        id: stringOf(row["id"]) ?? "",
        text: stringOf(row["text"]) ?? "",
        title: stringOf(row["title"]) ?? "",
        section: stringOf(row["section"]) ?? "",
        position: numberOf(row["position"]) ?? 0,
        ...(uri !== undefined && { uri }),
        ...(size > 0 && { vector }),
      });
    }
    collections.set(stringOf(each["name"]) ?? "", collection);
  }
  return collections;
}

/** Puts the collections in place of the file's; gives the new version. On failure the old file stays. */
export async function writeSnapshot(
  path: string,
  collections: ReadonlyMap<string, Collection>,
): Promise<string | undefined> {
  const vectors: Buffer[] = [];
  const header = Array.from(collections, ([name, collection]) => ({
    name,
    dimensions: collection.dimensions,
    passages: Array.from(collection.passages(), (passage) => {
      const vector = collection.vectorOf(passage.id);
      if (vector !== undefined) vectors.push(littleEndian(vector));
      return { ...passage, vector: vector !== undefined };
    }),
  }));
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  const parts = [magic, length, json, ...vectors];
  const digest = createHash("sha256");
  for (const part of parts) digest.update(part);
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString("hex")}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await using handle = await open(temporary, "wx");
    await handle.writev([...parts, digest.digest()]);
    await handle.sync();
    await rename(temporary, path);
  } catch (reason) {
    await rm(temporary, { force: true });
    throw new HandlerError(`the vector store's file ${path} cannot be written`, "unavailable", { cause: reason });
  }
  return snapshotVersion(path);
}

function littleEndian(vector: Float32Array): Buffer {
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [at, value] of vector.entries()) bytes.writeFloatLE(value, at * 4);
  return bytes;
}
