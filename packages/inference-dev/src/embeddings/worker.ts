// Worker thread with the embedding model: numbers of tokens in, one vector of length 1 out, one text at a time.
import { parentPort, workerData } from "node:worker_threads";
import { InferenceSession, Tensor } from "onnxruntime-node";

/** Vector, or what went wrong. `ready` is sent once. */
export type WorkerAnswer = { readonly ready: true } | { readonly vector: Float32Array } | { readonly failed: string };

const port = parentPort;
const { model } = workerData as { model: string };

async function run(session: InferenceSession, ids: readonly number[]): Promise<Float32Array> {
  const tensor = (values: BigInt64Array) => new Tensor("int64", values, [1, ids.length]);
  const { last_hidden_state: hidden } = await session.run({
    input_ids: tensor(BigInt64Array.from(ids, BigInt)),
    attention_mask: tensor(new BigInt64Array(ids.length).fill(1n)),
    token_type_ids: tensor(new BigInt64Array(ids.length)),
  });
  const { data, dims } = hidden ?? {};
  const size = dims?.at(-1) ?? 0;
  if (!(data instanceof Float32Array) || size === 0) throw new Error("the model gave no vectors");
  return meanOfLengthOne(data, size);
}

/** Mean over the tokens, scaled to length 1. */
function meanOfLengthOne(data: Float32Array, size: number): Float32Array {
  const sum = new Float32Array(size);
  for (const [at, value] of data.entries()) sum[at % size] = (sum[at % size] ?? 0) + value;
  const length = Math.hypot(...sum);
  return length === 0 ? sum : sum.map((value) => value / length);
}

async function main(): Promise<void> {
  const session = await InferenceSession.create(model, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: "sequential",
  });
  port?.on("message", (ids: number[]) => {
    run(session, ids).then(
      (vector) => port.postMessage({ vector } satisfies WorkerAnswer, [vector.buffer as ArrayBuffer]),
      (error: unknown) => port.postMessage({ failed: String(error) } satisfies WorkerAnswer),
    );
  });
  port?.postMessage({ ready: true } satisfies WorkerAnswer);
}

void main();
