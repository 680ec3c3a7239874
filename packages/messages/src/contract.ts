// The contract as lists: what programs walk over that serve, check or document all of it.
import type { DescFile, DescService } from "@bufbuild/protobuf";
import { ChatService, file_messages_v1_chat } from "./gen/messages/v1/chat_pb.ts";
import { file_messages_v1_errors } from "./gen/messages/v1/errors_pb.ts";
import { file_messages_v1_pipeline, PipelineService } from "./gen/messages/v1/pipeline_pb.ts";
import { file_messages_v1_stt, TranscriptionService } from "./gen/messages/v1/stt_pb.ts";
import { file_messages_v1_tts, SpeechService } from "./gen/messages/v1/tts_pb.ts";
import { file_messages_v1_voice, VoiceService } from "./gen/messages/v1/voice_pb.ts";

/** Descriptors of the files of package messages.v1. */
export const contractFiles: readonly DescFile[] = [
  file_messages_v1_errors,
  file_messages_v1_chat,
  file_messages_v1_voice,
  file_messages_v1_stt,
  file_messages_v1_tts,
  file_messages_v1_pipeline,
];

/** Every service of the contract. */
export const contractServices: readonly DescService[] = [
  ChatService,
  VoiceService,
  TranscriptionService,
  SpeechService,
  PipelineService,
];
