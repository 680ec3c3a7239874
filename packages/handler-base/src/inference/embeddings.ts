// Client of an embedding model: texts in, vectors out, whatever dialect the server speaks.
// I1: as many vectors as texts, in their order, all of one length, each number finite; anything else is `internal`.
import { HandlerError } from "../error.ts";
import { usageOf } from "./chat.ts";
import { isRecord, listOf, parseJson, readText, stringOf, type JsonRecord } from "./json.ts";
import { openPool, type Call } from "./pool.ts";
import type { CallOptions, ClientOptions } from "./options.ts";

export type EmbeddingsDialect = "openai" | "tei" | "auto";

export interface EmbeddingsOptions extends ClientOptions {
  /** "openai": `/v1/embeddings`; "tei": `/embed`; "auto" (default): the first that a server knows. All URLs must speak the same one. */
  readonly dialect?: EmbeddingsDialect;
  /** Texts per request. Default 32, the limit of a TEI server as it is shipped. */
  readonly batchSize?: number;
  /** Ask for vectors of this length; also what is checked. Default: whatever the server gives, as long as it stays the same. */
  readonly dimensions?: number;
  /** "base64" saves the parsing of numbers where the server knows it. Default "float"; answers are read in both forms. */
  readonly encoding?: "float" | "base64";
}

export interface Embeddings extends AsyncDisposable {
  /** One vector per text, in order. Throws HandlerError. */
  readonly embed: (texts: readonly string[], options: CallOptions) => Promise<Float32Array[]>;
}

const maxAnswerBytes = 64 * 1024 * 1024;

export function openEmbeddings(options: EmbeddingsOptions): Embeddings {
  const { model, dimensions, batchSize = 32, encoding = "float" } = options;
  if (!Number.isInteger(batchSize) || batchSize < 1)
    throw new HandlerError("the batch size of the embeddings server must be at least 1", "invalid_argument");
  const pool = openPool("embeddings", options, "/v1/models");
  let dialect: EmbeddingsDialect = options.dialect ?? "auto";
  let length = dimensions;

  const inDialect = {
    openai: async (call: Call, input: readonly string[]) =>
      readOpenAi(
        await ask(call, "/v1/embeddings", {
          input,
          model,
          encoding_format: encoding,
          ...(dimensions !== undefined && { dimensions }),
        }),
      ),
    tei: async (call: Call, inputs: readonly string[]) =>
      readTei(await ask(call, "/embed", { inputs, truncate: true, ...(dimensions !== undefined && { dimensions }) })),
  };

  const batch = async (call: Call, texts: readonly string[]): Promise<Float32Array[]> => {
    if (dialect !== "auto") return check(await inDialect[dialect](call, texts), texts.length);
    try {
      const vectors = check(await inDialect.openai(call, texts), texts.length);
      dialect = "openai";
      return vectors;
    } catch (reason) {
      // Every server was asked: one that does not know the path must not hide a fallback that does.
      if (!(reason instanceof HandlerError) || reason.code !== "not_found") throw reason;
    }
    const vectors = check(await inDialect.tei(call, texts), texts.length);
    dialect = "tei";
    return vectors;
  };

  const check = (vectors: Float32Array[], count: number): Float32Array[] => {
    if (vectors.length !== count) throw wrong(`returned ${vectors.length} vectors for ${count} texts`);
    const expected = length ?? vectors[0]?.length;
    for (const vector of vectors) {
      if (vector.length === 0) throw wrong("returned an empty vector");
      if (vector.length !== expected)
        throw wrong(`returned a vector of ${vector.length} dimensions where ${expected} are expected`);
      const bad = vector.find((value) => !Number.isFinite(value));
      if (bad !== undefined) throw wrong(`returned ${bad}`);
    }
    length = expected; // learnt from a batch that was right as a whole
    return vectors;
  };

  return {
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
    async embed(texts, callOptions) {
      using call = pool.begin({ operation: "embed", model }, callOptions);
      try {
        const vectors: Float32Array[] = [];
        for (let from = 0; from < texts.length; from += batchSize) {
          vectors.push(...(await batch(call, texts.slice(from, from + batchSize))));
        }
        call.done();
        return vectors;
      } catch (reason) {
        throw call.failed(reason);
      }
    },
  };
}

/** The answer's JSON. */
async function ask(call: Call, path: string, body: JsonRecord): Promise<unknown> {
  await using reply = await call.send({ method: "POST", path, body: JSON.stringify(body) });
  const answer = parseJson(await readText(reply.body, maxAnswerBytes, reply.from), reply.from);
  if (isRecord(answer)) call.note({ model: stringOf(answer["model"]), usage: usageOf(answer["usage"]) });
  return answer;
}

function wrong(what: string): HandlerError {
  return new HandlerError(`the embeddings server ${what}`, "internal");
}

/** `{data: [{index, embedding}]}`, or `{embeddings: [[…]]}` of home-made servers. */
function readOpenAi(answer: unknown): Float32Array[] {
  const record = isRecord(answer) ? answer : {};
  const plain = listOf(record["embeddings"]);
  if (plain !== undefined) return plain.map(toVector);
  const data = listOf(record["data"]);
  if (data === undefined) throw wrong("answered without vectors");
  const vectors: (Float32Array | undefined)[] = data.map(() => undefined);
  for (const [position, item] of data.entries()) {
    const fields = isRecord(item) ? item : {};
    const index = fields["index"] ?? position;
    if (typeof index !== "number" || !(index in vectors) || vectors[index] !== undefined) {
      throw wrong("numbered its vectors wrongly");
    }
    vectors[index] = toVector(fields["embedding"]);
  }
  return vectors.filter((vector) => vector !== undefined);
}

function readTei(answer: unknown): Float32Array[] {
  const rows = listOf(answer);
  if (rows === undefined) throw wrong("answered without vectors");
  return rows.map(toVector);
}

function toVector(value: unknown): Float32Array {
  if (typeof value === "string") return fromBase64(value);
  const numbers = listOf(value);
  if (numbers === undefined) throw wrong("answered without vectors");
  const vector = new Float32Array(numbers.length);
  for (const [at, number] of numbers.entries()) {
    if (number === null) throw wrong("returned NaN"); // what serializers make of NaN
    if (typeof number !== "number") throw wrong("returned a vector that does not hold numbers");
    vector[at] = number;
  }
  return vector;
}

/** Little-endian float32, the form of `encoding_format: "base64"`. */
function fromBase64(text: string): Float32Array {
  const bytes = Buffer.from(text, "base64");
  if (bytes.length === 0 || bytes.length % 4 !== 0)
    throw wrong("returned a vector that is not base64 of 32-bit numbers");
  const vector = new Float32Array(bytes.length / 4);
  for (let at = 0; at < vector.length; at++) vector[at] = bytes.readFloatLE(at * 4);
  return vector;
}
