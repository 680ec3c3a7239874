// Prints the pieces of an answer: text as it comes, everything else as JSON.
//
// I1  Standard output holds the answer and nothing else; what is said about it goes to standard error.
// I2  A reader that is slow slows the call: each write waits until the stream takes more.
import { once } from "node:events";
import { toJson, type DescMessage, type JsonObject, type Message } from "@bufbuild/protobuf";
import type { Piece } from "@pipeline/handler-base/operations";

export interface AnswerWriter {
  write(piece: Piece): Promise<void>;
  /** Ends the line of text that was begun. */
  end(): Promise<void>;
}

/** Fields that hold the text of a frame, in order of preference. */
const textFields = ["content", "text", "response"];

export function createAnswerWriter(
  out: NodeJS.WritableStream,
  notes: NodeJS.WritableStream,
  asJson: boolean,
): AnswerWriter {
  let open = false; // a line of text has been begun
  let printed = false; // text of the answer is out already
  let sourced = false; // and so are its sources
  const print = async (text: string) => {
    if (!out.write(text)) await once(out, "drain");
  };
  const closeLine = async () => {
    if (open) await print("\n");
    open = false;
  };
  return {
    async write({ kind, type, message }) {
      const json = jsonOf(type, message);
      if (asJson) return print(`${JSON.stringify(json)}\n`);
      const field = textFields.find((name) => type.fields.some((one) => one.name === name));
      if (field === undefined || (kind === "answer" && !printed)) {
        await closeLine();
        return print(`${JSON.stringify(json, undefined, 2)}\n`);
      }
      if (json["type"] === "restart") {
        await closeLine();
        printed = false;
        notes.write("the answer is written anew:\n");
      }
      const text = kind === "frame" ? json[field] : undefined;
      if (typeof text === "string" && text !== "") {
        open = true;
        printed = true;
        await print(text);
      }
      const sources = sourced ? [] : sourceLines(json["sources"]);
      if (sources.length > 0) {
        sourced = true;
        await closeLine();
        await print(`\nSources\n${sources.join("\n")}\n`);
      }
      const degraded: unknown = json["degraded"];
      if (kind === "frame" && Array.isArray(degraded))
        for (const sentence of degraded) notes.write(`note: ${String(sentence)}\n`);
    },
    end: closeLine,
  };
}

function jsonOf(type: DescMessage, message: Message): JsonObject {
  const json = toJson(type, message, { useProtoFieldName: true });
  return typeof json === "object" && json !== null && !Array.isArray(json) ? json : { value: json };
}

function sourceLines(sources: unknown): string[] {
  if (!Array.isArray(sources)) return [];
  return sources.map((source: unknown, index) => {
    const given = source as Readonly<Record<string, unknown>>;
    return `  [${index + 1}]${given["cited"] === true ? " " : " (not cited) "}${sourceName(given)}`;
  });
}

/** Title, section and address of a source, those that it has. */
export function sourceName({ title, section, uri }: { title?: unknown; section?: unknown; uri?: unknown }): string {
  const name = [title, section].filter((part) => typeof part === "string" && part !== "").join(" › ");
  return typeof uri === "string" && uri !== "" ? `${name}  (${uri})` : name;
}
