import { expect, test } from "vitest";
import { openEmbeddedStore } from "../../src/vector/index.ts";
import { storeCases } from "./conformance.ts";

test.each(storeCases)("the embedded store $name", async ({ run }) => {
  await using store = openEmbeddedStore();
  await expect(run(store, "collection")).resolves.toBeUndefined();
});
