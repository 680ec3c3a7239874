// Documents of a folder, one after the other, never all in memory.
import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";
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
 * The markdown files below a folder in the order of their paths, `uri` relative to it with "/". Leaves hidden folders and
 * node_modules out. Throws `resource_exhausted` for a file of more than 16 MiB, `not_found` when there is no such folder.
 */
export async function* readMarkdownFolder(
  folder: string,
  { signal }: { signal: AbortSignal },
): AsyncGenerator<IngestDocument> {
  let entries;
  try {
    entries = await readdir(folder, { recursive: true, withFileTypes: true });
  } catch (reason) {
    throw new HandlerError(`the folder ${folder} cannot be read`, "not_found", { cause: reason });
  }
  const paths = entries
    .filter((entry) => entry.isFile() && /\.(?:md|markdown)$/i.test(entry.name))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep))
    .filter((parts) => !parts.some((part) => part === "node_modules" || part.startsWith(".")))
    .map((parts) => parts.join("/"))
    .toSorted();
  for (const uri of paths) {
    if (signal.aborted) throw HandlerError.from(signal.reason);
    const path = join(folder, uri);
    if ((await stat(path)).size > maxFileBytes) {
      throw new HandlerError(`the document ${path} is larger than ${maxFileBytes} bytes`, "resource_exhausted", {
        retryable: false,
      });
    }
    yield { uri, text: await readFile(path, { encoding: "utf8", signal }) };
  }
}
