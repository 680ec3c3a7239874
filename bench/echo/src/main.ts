// The service that the bench measures and the bundle test starts.
import { serve } from "@pipeline/handler-base";
import { defineConfig, env } from "@pipeline/handler-base/config";
import { openLlm } from "@pipeline/handler-base/inference";
import { echo } from "./echo.ts";

const config = defineConfig({
  llmUrl: env.url("LLM_URL", { optional: true, doc: "Language model that Count passes on" }),
});

void serve({
  name: "echo",
  config,
  services: ({ config: { llmUrl }, onRequest, onClose }) => {
    if (llmUrl === undefined) return [echo(undefined)];
    const llm = openLlm({ urls: [llmUrl], concurrency: 512, onRequest });
    onClose("llm", async () => llm[Symbol.asyncDispose]());
    return [echo(llm)];
  },
});
