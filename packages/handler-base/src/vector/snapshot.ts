// The file of an embedded store: all collections in one, written beside and renamed, so that a reader sees the old or the new one.
// I1: the file under its own name is always whole: a writer that dies leaves only the file beside, which a later one removes.
// I2: what is written is one moment's state: everything that is written is taken before the first wait.
// Layout: magic, length of the JSON (u32 LE), JSON, vectors one after the other (float32 LE), SHA-256 of all before it.
import { createHash, randomBytes } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { HandlerError } from "../error.ts";
import { isRecord, listOf, numberOf, stringOf } from "../inference/json.ts";
import { createCollection, type Collection } from "./collection.ts";

const magic = Buffer.from("PIPEVEC1");
const digestBytes = 32;
/** Passages put into the indexes before other work gets its turn. */
const passagesAtOnce = 200;
/** A file beside that nobody has written to for so long belongs to a writer that died, ms. */
const leftoverAfterMs = 10 * 60_000;

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
  const file = await readFile(path).catch((reason: unknown) => {
    throw new HandlerError(`the vector store's file ${path} cannot be read`, "unavailable", { cause: reason });
  });
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
  let count = 0;
  for (const each of listOf(header) ?? []) {
    if (!isRecord(each)) continue;
    const collection = createCollection(numberOf(each["dimensions"]) ?? 0);
    for (const row of listOf(each["passages"]) ?? []) {
      if (!isRecord(row)) continue;
      if (++count % passagesAtOnce === 0) await nextTurn();
      const size = row["vector"] === true ? collection.dimensions : 0;
      const vector = new Float32Array(size);
      for (let index = 0; index < size; index++) vector[index] = body.readFloatLE(at + index * 4);
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
  const parts = partsOf(collections); // I2
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await removeLeftovers(path);
    {
      await using handle = await open(temporary, "wx");
      // Not writev: on a full disk it writes a part and says nothing.
      await handle.writeFile(parts);
      await handle.sync();
    }
    await rename(temporary, path);
  } catch (reason) {
    await rm(temporary, { force: true }).catch(() => undefined); // why the writing failed says more
    throw new HandlerError(`the vector store's file ${path} cannot be written`, "unavailable", { cause: reason });
  }
  return snapshotVersion(path);
}

function partsOf(collections: ReadonlyMap<string, Collection>): Buffer[] {
  const vectors: Buffer[] = [];
  const header = Array.from(collections, ([name, collection]) => {
    const passages = collection.passages();
    const block = Buffer.alloc(passages.length * collection.dimensions * 4);
    let at = 0;
    const rows = passages.map((passage) => {
      const vector = collection.vectorOf(passage.id);
      for (const value of vector ?? []) at = block.writeFloatLE(value, at);
      return { ...passage, vector: vector !== undefined };
    });
    vectors.push(block.subarray(0, at));
    return { name, dimensions: collection.dimensions, passages: rows };
  });
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  const parts = [magic, length, json, ...vectors];
  const digest = createHash("sha256");
  for (const part of parts) digest.update(part);
  return [...parts, digest.digest()];
}

/** Removes what writers that died have left beside the file. */
async function removeLeftovers(path: string): Promise<void> {
  const folder = dirname(path);
  const beside = (await readdir(folder)).filter(
    (name) => name.startsWith(`${basename(path)}.`) && /\.[0-9a-f]{12}\.tmp$/.test(name),
  );
  for (const name of beside) {
    const found = await stat(join(folder, name)).catch(() => undefined); // another writer renamed it
    if (found !== undefined && Date.now() - found.mtimeMs > leftoverAfterMs)
      await rm(join(folder, name), { force: true });
  }
}
