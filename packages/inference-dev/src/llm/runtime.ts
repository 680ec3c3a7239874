// The little of node-llama-cpp that is used. It is not among the workspace's packages, so its types are written down here.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { isRecord } from "../json.ts";

export type HistoryItem =
  | { readonly type: "system" | "user"; readonly text: string }
  | { readonly type: "model"; readonly response: readonly string[] };

export interface Sequence {
  readonly clearHistory: () => Promise<void>;
}

export interface Session {
  readonly setChatHistory: (history: readonly HistoryItem[]) => void;
  readonly prompt: (
    text: string,
    options: {
      readonly signal: AbortSignal;
      readonly stopOnAbortSignal: boolean;
      readonly maxTokens: number;
      readonly temperature: number;
      readonly onTextChunk: (text: string) => void;
    },
  ) => Promise<string>;
  readonly dispose: (options: { readonly disposeSequence: boolean }) => void;
}

export interface LoadedModel {
  readonly openSession: () => Promise<Session>;
  readonly dispose: () => Promise<void>;
}

interface Module {
  readonly getLlama: (options: Readonly<Record<string, unknown>>) => Promise<{
    readonly loadModel: (options: { readonly modelPath: string; readonly loadSignal?: AbortSignal }) => Promise<{
      readonly createContext: (options: {
        readonly contextSize: { readonly max: number };
        readonly threads: number;
      }) => Promise<{ readonly getSequence: () => Sequence }>;
    }>;
    readonly dispose: () => Promise<void>;
  }>;
  readonly LlamaChatSession: new (options: {
    readonly contextSequence: Sequence;
    readonly autoDisposeSequence: boolean;
  }) => Session;
}

/** Tokens of conversation and answer together. */
export const contextSize = 4096;

/** Loads a model file with the runtime of `folder`. One thread: the other engines need the rest. Rejects with an Error of one line. */
export async function loadModel(folder: string, modelPath: string, signal?: AbortSignal): Promise<LoadedModel> {
  // the package looks at this on load; nothing is ever downloaded or built here
  process.env["NODE_LLAMA_CPP_SKIP_DOWNLOAD"] = "true";
  const path = join(folder, "node_modules", "node-llama-cpp", "dist", "index.js");
  const module: unknown = await import(pathToFileURL(path).href);
  if (!isModule(module)) throw new Error(`${path} is not node-llama-cpp`);
  const llama = await module.getLlama({ gpu: false, build: "never", logLevel: "error", maxThreads: 1 });
  try {
    const model = await llama.loadModel({ modelPath, ...(signal && { loadSignal: signal }) });
    const context = await model.createContext({ contextSize: { max: contextSize }, threads: 1 });
    const contextSequence = context.getSequence();
    return {
      async openSession() {
        await contextSequence.clearHistory();
        return new module.LlamaChatSession({ contextSequence, autoDisposeSequence: false });
      },
      dispose: () => llama.dispose(),
    };
  } catch (error) {
    await llama.dispose();
    throw error;
  }
}

function isModule(value: unknown): value is Module {
  return isRecord(value) && typeof value["getLlama"] === "function" && typeof value["LlamaChatSession"] === "function";
}
