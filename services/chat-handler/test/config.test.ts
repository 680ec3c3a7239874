// The environment: the origin's names, contradictions, and the table of the README.
import { readFile } from "node:fs/promises";
import { getOption } from "@bufbuild/protobuf";
import { baseVariables, rowsIn, tableRows } from "@pipeline/handler-base/config";
import { ChatService, method } from "@pipeline/messages";
import { describe, expect, test } from "vitest";
import { config } from "../src/config.ts";

function problems(env: Record<string, string>): readonly string[] {
  try {
    config.read({ LLM_URL: "http://llm:8000", ...env });
    return [];
  } catch (reason) {
    return reason instanceof Error && "problems" in reason ? (reason.problems as string[]) : [String(reason)];
  }
}

const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");

describe("configuration", () => {
  test("takes the origin's names", () => {
    const read = config.read({
      VLLM_URL: "http://llm-draft.ai-ml.svc.cluster.local:8000, http://spare:8000/v1",
      EMBEDDINGS_URL: "http://embeddings-predictor.ai-ml.svc.cluster.local",
      RERANKER_URL: "http://reranker-predictor.ai-ml.svc.cluster.local",
      TTS_URL: "http://tts-predictor.ai-ml.svc.cluster.local",
      ENABLE_TTS: "true",
      MILVUS_HOST: "milvus.ai-ml.svc.cluster.local",
    });
    expect(read).toMatchObject({
      llmUrl: ["http://llm-draft.ai-ml.svc.cluster.local:8000", "http://spare:8000/v1"],
      milvusUrl: "http://milvus.ai-ml.svc.cluster.local:19530",
      collection: "knowledge_base",
      enableTts: true,
    });
  });

  test("says which variables contradict each other", () => {
    expect(problems({})).toEqual([]);
    expect(problems({ ENABLE_TTS: "yes" })).toEqual([expect.stringContaining("TTS_URL")]);
    expect(problems({ KNOWLEDGE_CACHE: "/tmp/x" })).toEqual([expect.stringContaining("KNOWLEDGE_DIR")]);
    expect(problems({ MILVUS_TOKEN: "t" })).toEqual([expect.stringContaining("MILVUS_URL")]);
    expect(problems({ MILVUS_HOST: "m" })).toEqual([expect.stringContaining("EMBEDDINGS_URL")]);
    expect(problems({ MILVUS_HOST: "m", EMBEDDINGS_URL: "http://e", KNOWLEDGE_DIR: "/docs" })).toEqual([
      expect.stringContaining("keep one"),
    ]);
    expect(problems({ COLLECTION_NAME: "a b" })).toEqual([expect.stringContaining("COLLECTION_NAME")]);
    expect(problems({ LLM_URL: "" })).toEqual([expect.stringContaining("LLM_URL")]);
  });

  test("stands in the README as it is", () => {
    const shared = new Set(Object.values(baseVariables).map(({ name }) => name));
    const own = config.describe().filter(({ name }) => !shared.has(name));
    const rows = tableRows(own);
    expect(rowsIn(readme), `README.md must have these rows:\n${rows.join("\n")}`).toEqual(rows);
  });
});

test("the README names every subject of the contract", () => {
  for (const rpc of ChatService.methods) {
    const { events, reply, eventsOnly } = getOption(rpc, method);
    const subjects = [...events.map(({ subject }) => subject), reply?.subject, reply?.framesSubject];
    if (!eventsOnly) subjects.push(`${ChatService.typeName}.${rpc.name}`);
    for (const subject of subjects) expect(readme).toContain(subject ? `\`${subject}\`` : "");
  }
});
