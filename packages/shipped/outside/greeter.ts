import { implement, serve } from "@pipeline/handler-base";
import { defineConfig } from "@pipeline/handler-base/config";
import { GreeterService } from "./gen/greeter/v1/greeter_pb.js";

const greeter = implement(GreeterService, {
  greet: ({ name }) => ({ text: `Good day, ${name}.` }),
});

void serve({ name: "greeter", config: defineConfig({}), services: () => [greeter] });
