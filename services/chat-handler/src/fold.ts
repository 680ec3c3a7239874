// How the pieces of a streamed answer and the whole answer correspond: one place for both directions.
import { fold } from "@pipeline/handler-base";
import { ChatService, type ChatStreamChunk } from "@pipeline/messages";

export const wholeAnswer = fold(ChatService.method.chat, ChatService.method.complete, {
  start: (request) => {
    let response = "";
    let end: ChatStreamChunk | undefined;
    return {
      add: (chunk) => {
        if (chunk.type === "restart") response = "";
        response += chunk.content;
        if (chunk.type === "done") end = chunk;
      },
      finish: () => ({
        response,
        requestId: request.requestId,
        userId: request.userId,
        sessionId: request.sessionId,
        timestamp: Date.now() / 1000,
        ...(end !== undefined && {
          sources: end.sources,
          audio: end.audio,
          usedRag: end.usedRag,
          model: end.model,
          degraded: end.degraded,
          timestamp: end.timestamp,
          ...(end.usage !== undefined && { usage: end.usage }),
        }),
      }),
    };
  },
  replay: ({ response, sources, audio, usedRag, model, degraded, timestamp, usage }) => [
    { type: "chunk", content: response, timestamp },
    {
      type: "done",
      done: true,
      sources,
      audio,
      usedRag,
      model,
      degraded,
      timestamp,
      ...(usage !== undefined && { usage }),
    },
  ],
});
