// Incremental reader of server-sent events (WHATWG "event stream interpretation"), bytes in, events out.
// I1: the same bytes give the same events however they are split; I2: at most `maxEventLength` characters are held.
import { HandlerError } from "../error.ts";

export interface SseEvent {
  /** Name of the event; "message" when none was sent. */
  readonly event: string;
  readonly data: string;
}

export interface SseParser {
  /** Events that are complete with these bytes. Throws `resource_exhausted` when one event is too long. */
  readonly push: (bytes: Uint8Array) => SseEvent[];
  /** The event that the end of the stream left without its blank line, if it has data: servers forget it after `[DONE]`. */
  readonly end: () => SseEvent[];
}

export function createSseParser(options: { maxEventLength: number }): SseParser {
  const decoder = new TextDecoder("utf-8"); // drops a byte order mark at the start
  let rest = "";
  let data: string | undefined;
  let dataLength = 0;
  let event = "";
  let afterCarriageReturn = false;

  const line = (text: string, out: SseEvent[]): void => {
    if (text === "") {
      if (data !== undefined) out.push({ event: event === "" ? "message" : event, data });
      data = undefined;
      dataLength = 0;
      event = "";
      return;
    }
    const colon = text.indexOf(":");
    if (colon === 0) return; // a comment: keep-alive
    const field = colon === -1 ? text : text.slice(0, colon);
    const start = colon === -1 ? text.length : text.charCodeAt(colon + 1) === 32 ? colon + 2 : colon + 1;
    if (field === "data") {
      const value = text.slice(start);
      dataLength += value.length + 1;
      if (dataLength > options.maxEventLength) throw tooLong(options.maxEventLength);
      data = data === undefined ? value : `${data}\n${value}`;
    } else if (field === "event") {
      event = text.slice(start);
    }
  };

  const feed = (text: string): SseEvent[] => {
    const out: SseEvent[] = [];
    let from = 0;
    if (afterCarriageReturn && text !== "") {
      if (text.startsWith("\n")) from = 1;
      afterCarriageReturn = false;
    }
    for (let at = from; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code !== 10 && code !== 13) continue;
      line(rest + text.slice(from, at), out);
      rest = "";
      if (code === 13) {
        if (at + 1 === text.length) afterCarriageReturn = true;
        else if (text.charCodeAt(at + 1) === 10) at++;
      }
      from = at + 1;
    }
    rest += text.slice(from);
    if (rest.length > options.maxEventLength) throw tooLong(options.maxEventLength);
    return out;
  };

  return {
    push: (bytes) => feed(decoder.decode(bytes, { stream: true })),
    end() {
      const out = feed(decoder.decode());
      if (rest !== "") line(rest, out);
      rest = "";
      line("", out);
      return out;
    },
  };
}

function tooLong(limit: number): HandlerError {
  return new HandlerError(`the model server sent an event of more than ${limit} characters`, "resource_exhausted", {
    retryable: false,
  });
}
