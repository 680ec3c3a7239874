// `/v1/embeddings`.
import type { EmbeddingEngine } from "../engines.ts";
import { listOf, type JsonRecord } from "../json.ts";
import { badRequest } from "./api-error.ts";
import type { Exchange } from "./exchange.ts";

const maxInputs = 2048;

export interface EmbeddingsRequest {
  readonly texts: readonly string[];
  readonly encoding: "float" | "base64";
}

/** Throws ApiError that names the field. */
export function readEmbeddingsRequest(body: JsonRecord, dimensions: number): EmbeddingsRequest {
  const { input } = body;
  const list = typeof input === "string" ? [input] : listOf(input);
  if (list === undefined || list.length === 0) throw badRequest("input must be a text or a list of texts", "input");
  if (list.length > maxInputs) throw badRequest(`input may hold at most ${maxInputs} texts`, "input");
  const texts = list.map((text, at) => {
    if (typeof text !== "string") throw badRequest("input must hold texts; token numbers are not read", `input[${at}]`);
    if (text === "") throw badRequest("input must not hold an empty text", `input[${at}]`);
    return text;
  });
  const encoding = body["encoding_format"] ?? "float";
  if (encoding !== "float" && encoding !== "base64")
    throw badRequest("encoding_format must be float or base64", "encoding_format");
  if ((body["dimensions"] ?? dimensions) !== dimensions)
    throw badRequest(`dimensions must be ${dimensions}: the model has no other length`, "dimensions");
  return { texts, encoding };
}

export async function answerEmbeddings(
  exchange: Exchange,
  engine: EmbeddingEngine,
  { texts, encoding }: EmbeddingsRequest,
): Promise<void> {
  const { vectors, tokens } = await engine.embed(texts, { signal: exchange.signal });
  exchange.json(200, engine.name, {
    object: "list",
    data: vectors.map((vector, index) => ({
      object: "embedding",
      index,
      embedding: encoding === "base64" ? toBase64(vector) : Array.from(vector),
    })),
    model: engine.name,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  });
}

/** Little-endian float32. */
function toBase64(vector: Float32Array): string {
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [at, value] of vector.entries()) bytes.writeFloatLE(value, at * 4);
  return bytes.toString("base64");
}
