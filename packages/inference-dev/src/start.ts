// Opens the engines that can be had and serves them.
// I1: whatever was opened is closed, however the start ends. I2: only a GGUF model that was asked for stops the start when it is missing.
import { fetchArtifact, MissingArtifact } from "@pipeline/artifacts";
import { createExtractive } from "./answers/extractive.ts";
import { createRarity } from "./answers/rarity.ts";
import { createReranker } from "./answers/reranker.ts";
import { openMiniLm, type MiniLm } from "./embeddings/minilm.ts";
import { createSentenceVectors } from "./embeddings/sentences.ts";
import { readVocabulary, type Vocabulary } from "./embeddings/vocabulary.ts";
import { engineNames, startServer } from "./http/server.ts";
import { openGguf } from "./llm/gguf.ts";

export interface InferenceOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: a free one. */
  readonly port?: number;
  /** False: do without the embedding model even where it can be had. Default true. */
  readonly embeddings?: boolean;
  /** GGUF model that writes the answers. Default: the sentences of the sources. */
  readonly llm?: string;
  /** Calls that may wait for each role. Default 64. */
  readonly queue?: number;
  /** Ends a start that is under way. */
  readonly signal?: AbortSignal;
  /** Gets one line for each thing that somebody should know. Default: standard error. */
  readonly log?: (line: string) => void;
}

export interface RunningInference extends AsyncDisposable {
  readonly url: string;
  /** Engine names by role, "none" where there is none. */
  readonly engines: Readonly<Record<"llm" | "embeddings" | "reranker", string>>;
}

/** How long calls in flight may take when it is closed, ms. */
const graceMs = 5000;

/** Resolves when everything that can be had is loaded and the port is open. */
export async function startInference(options: InferenceOptions = {}): Promise<RunningInference> {
  const log = options.log ?? ((line: string) => void process.stderr.write(`${line}\n`));
  await using opened = new AsyncDisposableStack(); // I1
  const vocabulary = await readVocabulary();
  const embeddings = options.embeddings === false ? undefined : await openEmbeddings(vocabulary, log, options.signal);
  if (embeddings !== undefined) opened.use(embeddings);
  const vectors = embeddings && createSentenceVectors(embeddings);
  const rarity = createRarity(vocabulary);
  const judge = { rarity, ...(vectors && { vectors }) };
  const chat =
    options.llm === undefined
      ? createExtractive(judge)
      : opened.use(
          await openGguf({ ...judge, file: options.llm, log, ...(options.signal && { signal: options.signal }) }),
        );
  const engines = {
    chat,
    ...(embeddings && { embeddings }),
    reranker: createReranker(judge),
  };
  const server = await startServer({
    engines,
    host: options.host ?? "127.0.0.1",
    port: options.port ?? 0,
    queue: options.queue ?? 64,
    log,
  });
  opened.defer(() => server.close(graceMs));
  const all = opened.move();
  return { url: server.url, engines: engineNames(engines), [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** Undefined, and a line that says why, when the model cannot be had or loaded. I2 */
async function openEmbeddings(
  vocabulary: Vocabulary,
  log: (line: string) => void,
  signal?: AbortSignal,
): Promise<MiniLm | undefined> {
  try {
    const model = await fetchArtifact("minilm-int8", { progress: log, ...(signal && { signal }) });
    return await openMiniLm(model, vocabulary);
  } catch (error) {
    signal?.throwIfAborted();
    const why = error instanceof Error ? error.message : String(error);
    log(error instanceof MissingArtifact ? why : `the embedding model cannot be loaded: ${why}`);
    log("going on without embeddings: sources are found by their words only");
    return undefined;
  }
}
