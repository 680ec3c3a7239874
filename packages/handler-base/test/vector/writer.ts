// A process that fills an embedded store and flushes it without end; each state holds passages of one generation only.
import { openEmbeddedStore } from "../../src/vector/index.ts";

const [path = "", dimensions = "0", count = "0"] = process.argv.slice(2);
const { signal } = new AbortController();
const store = openEmbeddedStore({ path });
await store.create("c", { dimensions: Number(dimensions) }, { signal });
for (let generation = 0; ; generation++) {
  const passages = Array.from({ length: Number(count) }, (_, at) => ({
    id: `p${at}`,
    text: `generation ${generation}`,
    title: "T",
    section: "S",
    position: at,
    uri: "u",
    vector: new Float32Array(Number(dimensions)).fill(generation + 1),
  }));
  await store.upsert("c", passages, { signal });
  await store.flush({ signal });
  process.stdout.write(`${generation}\n`);
}
