// Documents of a folder, one after the other, never all in memory.
import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { HandlerError } from "../error.ts";

export interface IngestDocument {
  /** Where the document is; what citations show. */
  readonly uri: string;
  /** Markdown. */
  readonly text: string;
  /** Default: the document's own title. */
  readonly title?: string;
}

const maxFileBytes = 16 * 1024 * 1024;

/**
 * The markdown files below a folder in the order of their paths, `uri` relative to it with "/". Leaves hidden folders,
 * node_modules and symbolic links out. Throws `resource_exhausted` for a file of more than 16 MiB, `not_found` when there is no such
 * folder or a file goes away meanwhile.
 */
export async function* readMarkdownFolder(
  folder: string,
  { signal }: { signal: AbortSignal },
): AsyncGenerator<IngestDocument> {
  for await (const uri of markdownFiles(folder, "", signal)) {
    yield { uri, text: await readDocument(join(folder, uri), signal) };
  }
}

async function* markdownFiles(folder: string, below: string, signal: AbortSignal): AsyncGenerator<string> {
  if (signal.aborted) throw HandlerError.from(signal.reason);
  const path = join(folder, below);
  const entries = await readdir(path, { withFileTypes: true }).catch((reason: unknown) => {
    throw new HandlerError(`the folder ${path} cannot be read`, "not_found", { cause: reason });
  });
  // A folder sorts as its path with the slash does, so that all paths come in order.
  const key = (entry: { name: string; isDirectory: () => boolean }): string =>
    entry.isDirectory() ? `${entry.name}/` : entry.name;
  for (const entry of entries.toSorted((a, b) => (key(a) < key(b) ? -1 : 1))) {
    if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
    if (entry.isDirectory()) yield* markdownFiles(folder, `${below}${entry.name}/`, signal);
    else if (entry.isFile() && /\.(?:md|markdown)$/i.test(entry.name)) yield `${below}${entry.name}`;
  }
}

async function readDocument(path: string, signal: AbortSignal): Promise<string> {
  try {
    await using file = await open(path);
    if ((await file.stat()).size > maxFileBytes) {
      throw new HandlerError(`the document ${path} is larger than ${maxFileBytes} bytes`, "resource_exhausted", {
        retryable: false,
      });
    }
    return await file.readFile({ encoding: "utf8", signal });
  } catch (reason) {
    if (signal.aborted) throw HandlerError.from(signal.reason);
    if (reason instanceof HandlerError) throw reason;
    throw new HandlerError(`the document ${path} cannot be read`, "not_found", { cause: reason });
  }
}
