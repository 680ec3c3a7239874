// Changes of source files in some folders.
import { watch } from "node:fs/promises";

/** Editors write several times for one save, ms. */
const settleMs = 150;

export interface Changes {
  /** Resolves with the name of a file that has changed since the last call, when writing has come to rest. Rejects with the signal's reason. */
  next(): Promise<string>;
}

/** Watches until the signal aborts. */
export function watchSources(folders: readonly string[], signal: AbortSignal): Changes {
  let changed: string | undefined;
  let failure: unknown;
  let wake: (() => void) | undefined;
  const follow = async (folder: string) => {
    for await (const { filename } of watch(folder, { recursive: true, signal })) {
      if (filename === null || !/\.(ts|mts|js|json|proto)$/.test(filename)) continue;
      changed = filename;
      wake?.();
    }
  };
  for (const folder of folders) {
    follow(folder).catch((reason: unknown) => {
      failure ??= signal.aborted ? signal.reason : reason;
      wake?.();
    });
  }
  return {
    async next() {
      for (;;) {
        if (failure !== undefined) throw failure;
        const seen = changed;
        if (seen !== undefined) {
          changed = undefined;
          await new Promise((resolve) => setTimeout(resolve, settleMs));
          if (changed === undefined) return seen;
          continue;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}
