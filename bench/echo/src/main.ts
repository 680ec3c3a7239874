// The echo service as a process: what the bench measures and the bundle test starts.
import { serve } from "@pipeline/handler-base";
import { defineConfig } from "@pipeline/handler-base/config";
import { echo } from "../../../packages/handler-base/test/support/echo.ts";

void serve({ name: "echo", config: defineConfig({}), services: () => [echo()] });
