// The program and the whole process behind it, with the embedding model where it can be had and without it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { openEmbeddings, openLlm, openReranker } from "@pipeline/handler-base/inference";
import { describe, expect, test } from "vitest";
import { startInference } from "../src/index.ts";
import { fetchArtifact } from "@pipeline/artifacts";
import { openMiniLm } from "../src/embeddings/minilm.ts";
import { readVocabulary } from "../src/embeddings/vocabulary.ts";
import { post } from "./support/server.ts";

const program = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const signal = AbortSignal.timeout(120_000);
const timeout = 60_000;

function start(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [program, ...args], {
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let errors = "";
  child.stderr.on("data", (data: Buffer) => (errors += data.toString()));
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  const ended = once(child, "close").then(([code]: unknown[]) => code);
  return { child, lines, reader, ended, errors: () => errors };
}

describe("the program", () => {
  test("prints one JSON line when it answers, and ends with code 0 on SIGTERM", { timeout }, async () => {
    const { child, lines, reader, ended } = start([]);
    await once(reader, "line");
    const ready: unknown = JSON.parse(lines[0] ?? "");
    expect(ready).toEqual({
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      engines: { llm: expect.any(String), embeddings: expect.any(String), reranker: expect.any(String) },
    });
    const { url } = ready as { url: string };
    expect((await fetch(`${url}/health`)).status).toBe(200);
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    expect(lines).toHaveLength(1);
  });

  test("goes on without the embedding model and says how to get it", { timeout }, async () => {
    const { child, lines, reader, ended, errors } = start([], { MINILM_MODEL: "/nowhere/model.onnx" });
    await once(reader, "line");
    const { url, engines } = JSON.parse(lines[0] ?? "") as { url: string; engines: unknown };
    expect(engines).toEqual({ llm: "extractive", embeddings: "none", reranker: "sentences" });
    expect((await post(`${url}/v1/embeddings`, { input: "x" })).status).toBe(503);
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    expect(errors()).toMatch(/MINILM_MODEL names \/nowhere\/model\.onnx[\s\S]*going on without embeddings/);
  });

  test.each([
    [["--port", "70000"], /^inference-dev: --port must be a number from 0 to 65535/],
    [["--nonsense"], /^inference-dev: Unknown option '--nonsense'/],
    [["--llm", "/nowhere/x.gguf"], /^inference-dev: --llm names \/nowhere\/x\.gguf, which is no file\n$/],
    [["--host", "192.0.2.1"], /^inference-dev: .*EADDRNOTAVAIL.*\n$/],
  ])("ends with one line and code 1 for %j", { timeout }, async (args, message) => {
    const { lines, ended, errors } = start(args, { MINILM_MODEL: "" });
    expect(await ended).toBe(1);
    expect(lines).toEqual([]);
    expect(errors()).toMatch(message);
  });

  test("--help explains itself", { timeout }, async () => {
    const { lines, ended } = start(["--help"]);
    expect(await ended).toBe(0);
    expect(lines.join("\n")).toContain("--llm FILE");
  });
});

describe("the whole process", () => {
  test("embeds, ranks and answers by meaning where it has the model", { timeout }, async () => {
    const log: string[] = [];
    await using inference = await startInference({ log: (line) => log.push(line) });
    const urls = [inference.url];
    if (inference.engines.embeddings === "none") {
      expect(log.join("\n")).toContain("going on without embeddings");
      expect(inference.engines).toEqual({ llm: "extractive", embeddings: "none", reranker: "sentences" });
      return;
    }
    await using embeddings = openEmbeddings({ urls });
    const [cat, kitten, broker] = await embeddings.embed(["a cat", "a small kitten", "a message broker"], { signal });
    const cosine = (a: Float32Array = new Float32Array(), b: Float32Array = new Float32Array()) =>
      a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);
    expect(cat).toHaveLength(384);
    expect(cosine(cat, cat)).toBeCloseTo(1, 4);
    expect(cosine(cat, kitten)).toBeGreaterThan(cosine(cat, broker) + 0.2);

    await using reranker = openReranker({ urls });
    const documents = [
      "The weather is mild. Nothing else.",
      "Bread is baked. Cats sleep for sixteen hours a day.",
      "Dogs bark.",
    ];
    const [best] = await reranker.rerank("How long does a cat sleep?", documents, { signal });
    expect(best?.index).toBe(1);

    await using llm = openLlm({ urls });
    const system = "Sources:\n\n[1] Pets\nFelines slumber for sixteen hours a day. Dogs bark at night.";
    const ask = async (question: string) => {
      let text = "";
      const messages = [
        { role: "system", content: system },
        { role: "user", content: question },
      ] as const;
      for await (const delta of llm.stream({ messages }, { signal })) if ("text" in delta) text += delta.text;
      return text;
    };
    expect(await ask("How many hours a day do felines sleep?")).toContain(
      "Felines slumber for sixteen hours a day. [1]",
    );
    expect(await ask("What is the capital of Australia?")).toBe("The sources do not say.");
  });

  test("an aborted call's remaining texts are never embedded", { timeout }, async () => {
    const log: string[] = [];
    await using inference = await startInference({ log: (line) => log.push(line) });
    if (inference.engines.embeddings === "none") {
      expect(log.join("\n")).toContain("going on without embeddings");
      return;
    }
    await using model = await openMiniLm(await fetchArtifact("minilm-int8"), await readVocabulary());
    const stop = new AbortController();
    const texts = Array.from({ length: 1000 }, (_, at) => `text number ${at} of many`);
    const long = model.embed(texts, { signal: stop.signal });
    // takes its turn between the texts of the long call
    await model.embed(["short"], { signal });
    expect(model.done()).toBeLessThan(500);
    stop.abort(new Error("enough"));
    await expect(long).rejects.toThrow("enough");
    const after = model.done();
    await model.embed(["another"], { signal });
    expect(model.done()).toBeLessThanOrEqual(after + 2);
  });
});
