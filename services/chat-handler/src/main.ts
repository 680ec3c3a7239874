// The program: chat-handler with its configuration from the environment.
import { serve } from "@pipeline/handler-base";
import { config } from "./config.ts";
import { openServices } from "./open.ts";

void serve({ name: "chat-handler", version: "0.1.0", config, services: openServices });
