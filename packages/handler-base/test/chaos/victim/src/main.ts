// The echo service as a process that tells each run of its handler to a counter before the run goes on: what a model server would see.
import { serve } from "@pipeline/handler-base";
import { defineConfig } from "@pipeline/handler-base/config";
import { echo } from "../../../support/echo.ts";

void serve({
  name: "echo",
  config: defineConfig({}),
  middleware: [
    async ({ requestId, attempt }, next) => {
      const run = new URLSearchParams({ id: requestId, pid: String(process.pid), attempt: String(attempt) });
      await fetch(`${process.env["RUNS_URL"] ?? ""}?${run.toString()}`, { method: "POST" });
      await next();
    },
  ],
  services: () => [echo()],
});
