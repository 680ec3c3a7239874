// Client of a speech model behind the OpenAI audio API: a text in, one WAV file out.
// I1: what is given is a WAV file of at most `maxAudioBytes`; anything else that a server calls a success is an error.
import { HandlerError } from "../error.ts";
import { embeddedError } from "./failure.ts";
import { isRecord } from "./json.ts";
import type { CallOptions, ClientOptions } from "./options.ts";
import { openPool, type Call } from "./pool.ts";

export interface SpeechOptions extends ClientOptions {
  /** Default: the server's own. */
  readonly voice?: string;
  /** Bytes of one recording. Default 8 MiB. */
  readonly maxAudioBytes?: number;
}

export interface Speech extends AsyncDisposable {
  /** The text spoken, a WAV file. Servers take up to 4096 characters. Throws HandlerError. */
  readonly speak: (text: string, options: CallOptions) => Promise<Uint8Array>;
}

const defaultMaxAudioBytes = 8 * 1024 * 1024;

export function openSpeech(options: SpeechOptions): Speech {
  const { model, voice, maxAudioBytes = defaultMaxAudioBytes } = options;
  const pool = openPool("speech", options, "/v1/models");
  return {
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
    async speak(text, callOptions) {
      using call = pool.begin({ operation: "speak", model }, callOptions);
      try {
        const body = { model, voice, input: text, response_format: "wav" };
        const audio = await ask(call, JSON.stringify(body), maxAudioBytes);
        call.done();
        return audio;
      } catch (reason) {
        throw call.failed(reason);
      }
    },
  };
}

async function ask(call: Call, body: string, maxBytes: number): Promise<Uint8Array> {
  await using reply = await call.send({ method: "POST", path: "/v1/audio/speech", body });
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of reply.body) {
    size += chunk.byteLength;
    if (size > maxBytes) {
      throw new HandlerError(`${reply.from} answered more than ${maxBytes} bytes`, "resource_exhausted", {
        retryable: false,
      });
    }
    chunks.push(chunk);
  }
  const audio = Buffer.concat(chunks);
  if (audio.toString("latin1", 0, 4) === "RIFF" && audio.toString("latin1", 8, 12) === "WAVE") return audio;
  throw notAudio(audio, reply.from);
}

function notAudio(body: Buffer, from: string): HandlerError {
  if (body.length === 0) return new HandlerError(`${from} answered with an empty body`, "unavailable");
  try {
    const value: unknown = JSON.parse(body.toString("utf8", 0, 64 * 1024));
    if (isRecord(value)) return embeddedError(value, from);
  } catch {
    // Neither audio nor an error that can be read: said below, without any of it, as it may quote the text.
  }
  return new HandlerError(`${from} answered something that is no WAV file`, "unavailable");
}
