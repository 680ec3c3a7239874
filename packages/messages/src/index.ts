// Every message, service and option of the contract: generated code (run `npm run generate` after a change of proto/), and lists of it.
export { contractFiles, contractServices } from "./contract.ts";
export * from "./gen/handler/v1/options_pb.ts";
export * from "./gen/messages/v1/chat_pb.ts";
export * from "./gen/messages/v1/errors_pb.ts";
export * from "./gen/messages/v1/pipeline_pb.ts";
export * from "./gen/messages/v1/stt_pb.ts";
export * from "./gen/messages/v1/tts_pb.ts";
export * from "./gen/messages/v1/voice_pb.ts";
