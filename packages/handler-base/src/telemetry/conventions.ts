// Names of OpenTelemetry's semantic conventions: RPC (release candidate), messaging and GenAI (in development). They stand here alone, so
// that a new edition of the conventions is one changed file. What the conventions have no name for is under `handler.`.

export const attribute = {
  errorType: "error.type",
  serverAddress: "server.address",
  serverPort: "server.port",
  httpStatus: "http.response.status_code",
  httpResends: "http.request.resend_count",

  rpcSystem: "rpc.system.name",
  rpcMethod: "rpc.method",
  rpcStatus: "rpc.response.status_code",

  messagingSystem: "messaging.system",
  messagingOperation: "messaging.operation.name",
  messagingOperationType: "messaging.operation.type",
  messagingTemplate: "messaging.destination.template",
  messagingGroup: "messaging.consumer.group.name",
  messagingBodySize: "messaging.message.body.size",

  genAiOperation: "gen_ai.operation.name",
  genAiProvider: "gen_ai.provider.name",
  genAiRequestModel: "gen_ai.request.model",
  genAiResponseModel: "gen_ai.response.model",
  genAiStream: "gen_ai.request.stream",
  genAiFirstChunk: "gen_ai.response.time_to_first_chunk",
  genAiInputTokens: "gen_ai.usage.input_tokens",
  genAiOutputTokens: "gen_ai.usage.output_tokens",
  genAiCachedTokens: "gen_ai.usage.cache_read.input_tokens",
  genAiReasoningTokens: "gen_ai.usage.reasoning.output_tokens",

  dbOperation: "db.operation.name",

  requestId: "handler.request_id",
  attempt: "handler.attempt",
  engine: "handler.engine",
} as const;

/** `rpc.system.name` and `messaging.system`. */
export const system = "nats";

/** `messages.v1.ChatService/Chat`: `rpc.method` of a contract's full name. */
export function rpcMethodOf(fullName: string): string {
  const dot = fullName.lastIndexOf(".");
  return `${fullName.slice(0, dot)}/${fullName.slice(dot + 1)}`;
}

/** What the GenAI conventions call an operation of our clients; others keep their name. */
export function genAiOperationOf(operation: string): string {
  return genAiOperations.get(operation) ?? operation;
}

const genAiOperations: ReadonlyMap<string, string> = new Map([
  ["embed", "embeddings"],
  ["search", "retrieval"],
  ["hybrid_search", "retrieval"],
  ["speak", "text_to_speech"],
]);
