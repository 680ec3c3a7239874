// What the scripted model server answers: numbers that follow from the words of a text, so that tests can tell what should be found.
import { createHash } from "node:crypto";

export function embeddingsOf(body: Readonly<Record<string, unknown>>): unknown {
  return {
    object: "list",
    model: "words",
    data: textsOf(body["input"]).map((text, index) => ({ object: "embedding", index, embedding: vectorOf(text) })),
  };
}

export function ranksOf(body: Readonly<Record<string, unknown>>): unknown {
  const asked = new Set(wordsOf(String(body["query"])));
  const results = textsOf(body["documents"]).map((text, index) => {
    const words = new Set(wordsOf(text));
    const common = [...words].filter((word) => asked.has(word)).length;
    return { index, relevance_score: (common + 0.5) / (asked.size + 1) };
  });
  return { model: "words", results: results.toSorted((a, b) => b.relevance_score - a.relevance_score) };
}

const dimensions = 64;

/** A vector of length 1 in which texts with common words are near each other. */
function vectorOf(text: string): number[] {
  const vector = Array.from({ length: dimensions }, () => 0.001);
  for (const word of wordsOf(text)) {
    const slot = createHash("md5").update(word).digest().readUInt32LE() % dimensions;
    vector[slot] = (vector[slot] ?? 0) + 1;
  }
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

const wordsOf = (text: string): string[] => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [String(value)];
}

/** 100 ms of nothing: a WAV file of 16 kHz, 16 bits, one channel. */
export const silence = ((): Buffer => {
  const samples = 1600;
  const file = Buffer.alloc(44 + samples * 2);
  file.write("RIFF", 0, "latin1");
  file.writeUInt32LE(36 + samples * 2, 4);
  file.write("WAVEfmt ", 8, "latin1");
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE(1, 20);
  file.writeUInt16LE(1, 22);
  file.writeUInt32LE(16_000, 24);
  file.writeUInt32LE(32_000, 28);
  file.writeUInt16LE(2, 32);
  file.writeUInt16LE(16, 34);
  file.write("data", 36, "latin1");
  file.writeUInt32LE(samples * 2, 40);
  return file;
})();
