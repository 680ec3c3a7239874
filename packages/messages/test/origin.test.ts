// What the contract keeps from the services that came before: type names, field names, and the numbers that are known.
import { readdir } from "node:fs/promises";
import { ScalarType } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import * as everything from "../src/index.ts";
import { contractFiles, contractServices } from "../src/index.ts";
import { message, messages } from "./roles.ts";

const { STRING, BOOL, INT32, INT64, FLOAT, BYTES } = ScalarType;

test.each([
  ["ErrorResponse", ["error", 1, BOOL], ["message", 2, STRING], ["type", 3, STRING]],
  [
    "LoginEvent",
    ["user_id", 1, STRING],
    ["username", 2, STRING],
    ["nickname", 3, STRING],
    ["premium", 4, BOOL],
    ["timestamp", 5, INT64],
  ],
  ["GreetingRequest", ["user_id", 1, STRING], ["username", 2, STRING], ["nickname", 3, STRING]],
] as const)("%s has the numbers that are known", (name, ...fields) => {
  const desc = message(name);
  const known = desc.fields.filter(({ name: field }) => fields.some(([wanted]) => wanted === field));
  expect(known.map((field) => [field.name, field.number, field.scalar])).toEqual(fields);
});

/** Field names that were seen; a type without any is listed for its name. */
const seen: readonly (readonly [string, string])[] = [
  ["ErrorResponse", "error message type"],
  ["LoginEvent", "user_id username nickname premium timestamp"],
  ["GreetingRequest", "user_id username nickname premium"],
  ["GreetingResponse", "user_id greeting"],
  [
    "ChatRequest",
    "request_id user_id username message query premium enable_streaming enable_rag enable_reranker top_k session_id " +
      "collection enable_tts system_prompt response_subject",
  ],
  ["ChatResponse", "request_id response sources audio"],
  ["ChatStreamChunk", "request_id type content done timestamp"],
  ["DocumentSource", "text score"],
  ["VoiceRequest", "request_id user_id audio format sample_rate premium enable_rag language collection"],
  ["VoiceResponse", "request_id response audio sources"],
  ["TTSRequest", "text speaker language stream"],
  ["TTSAudioChunk", "session_id audio total_chunks sample_rate is_last timestamp"],
  ["TTSFullResponse", "session_id audio sample_rate timestamp"],
  ["TTSStatus", "session_id status message timestamp"],
  ["TTSVoiceInfo", "name language model_type created_at"],
  ["TTSVoiceListResponse", "voices default_speaker total timestamp"],
  ["TTSVoiceRefreshResponse", "count voices timestamp"],
  ["STTStreamMessage", "audio type state speaker_id"],
  [
    "STTTranscription",
    "session_id speaker_id sequence transcript is_partial is_final timestamp has_voice_activity state",
  ],
  ["STTInterrupt", "session_id type speaker_id timestamp"],
  ["PipelineTrigger", "request_id pipeline parameters"],
  ["PipelineStatus", "request_id status pipeline engine run_id message timestamp"],
];

test("all 22 types are there", () => {
  expect(seen).toHaveLength(22);
  const names = messages.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(seen.map(([name]) => name)));
});

test.each(seen)("%s has the fields that were seen", (name, fields) => {
  expect(message(name).fields.map((field) => field.name)).toEqual(expect.arrayContaining(fields.split(" ")));
});

test.each([
  ["ChatRequest", "top_k", INT32],
  ["ChatRequest", "premium", BOOL],
  ["DocumentSource", "text", STRING],
  ["DocumentSource", "score", FLOAT],
  ["STTTranscription", "sequence", INT32],
  ["STTStreamMessage", "audio", BYTES],
  ["TTSAudioChunk", "audio", BYTES],
  ["TTSFullResponse", "audio", BYTES],
])("%s.%s has the type that is known", (name, field, scalar) => {
  expect(message(name).fields.find((one) => one.name === field)?.scalar).toBe(scalar);
});

describe("exports", () => {
  test("the lists hold every file and every service of proto/messages", async () => {
    const onDisk = await readdir(new URL("../../../proto/messages/v1/", import.meta.url));
    expect(contractFiles.map(({ name }) => `${name}.proto`).toSorted()).toEqual(
      onDisk.map((name) => `messages/v1/${name}`).toSorted(),
    );
    expect(contractServices).toEqual(expect.arrayContaining(contractFiles.flatMap(({ services }) => services)));
  });

  test("every message and service is exported by name, and every file by its own path", async () => {
    for (const { name } of messages) expect(everything).toHaveProperty(`${name}Schema`);
    for (const { name } of contractServices) expect(everything).toHaveProperty(name);
    const chat: unknown = await import("@pipeline/messages/messages/v1/chat_pb.js");
    expect(chat).toHaveProperty("ChatService", everything.ChatService);
  });
});
