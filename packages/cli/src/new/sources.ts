// The files of a new service that are the same inside and outside the repository: contract, handler, program, test.
import type { ServiceName } from "./service-name.ts";

/** Content by path below the service's folder. */
export type Files = Readonly<Record<string, string>>;

export const protoPath = ({ snake }: ServiceName) => `proto/${snake}/v1/${snake}.proto`;
const generated = ({ snake }: ServiceName) => `gen/${snake}/v1/${snake}_pb.ts`;

/** `testModule` is the test runner that `test` is imported from. */
export function sources(name: ServiceName, testModule: "vitest" | "node:test"): Files {
  return {
    [protoPath(name)]: proto(name),
    "src/handler.ts": handler(name),
    "src/main.ts": main(name),
    "test/handler.test.ts": test(name, testModule),
  };
}

const proto = ({ kebab, snake, upper, pascal }: ServiceName) => `syntax = "proto3";

package ${snake}.v1;

import "buf/validate/validate.proto";
import "handler/v1/options.proto";
import "messages/v1/errors.proto";

// Says what it is for.
service ${pascal}Service {
  option (handler.v1.service) = {
    handler: "${kebab}"
    streams: {
      name: "${upper}_REQUESTS"
      subjects: "${snake}.request"
      role: STREAM_ROLE_INGRESS
      max_age: {seconds: 86400}
      storage: STREAM_STORAGE_FILE
      replicas: 3
    }
  };

  // Greets somebody by name.
  rpc Greet(GreetRequest) returns (GreetResponse) {
    option (handler.v1.method) = {
      events: {subject: "${snake}.request", stream: "${upper}_REQUESTS"}
      reply: {subject: "${snake}.response.{request_id}"}
      deadline: {seconds: 30}
      concurrency: 16
      retry: {max_attempts: 5, initial_delay: {seconds: 1}, max_delay: {seconds: 60}, factor: 5}
      ack_wait: {seconds: 30}
    };
  }
}

// Asks for a greeting.
message GreetRequest {
  // Identifies the request. One token of a subject.
  string request_id = 1 [(buf.validate.field).string = {max_len: 128, pattern: "^[^\\\\s.*>]*$"}];
  // Whom to greet.
  string name = 2 [(buf.validate.field).string = {min_len: 1, max_len: 256}];
}

// A greeting.
message GreetResponse {
  reserved 1 to 9;
  // Set if the request failed.
  messages.v1.ErrorResponse error = 10;
  // Request that this answers.
  string request_id = 11;
  // The greeting.
  string text = 12;
}
`;

const handler = (name: ServiceName) => `// What ${name.kebab} does: one function for each rpc of its contract.
import { implement, type Implementation } from "@pipeline/handler-base";
import { ${name.pascal}Service } from "./${generated(name)}";

export const ${name.camel} = (): Implementation =>
  implement(${name.pascal}Service, {
    greet: ({ name }) => ({ text: \`Good day, \${name}.\` }),
  });
`;

const main = ({ kebab, camel }: ServiceName) => `// The program: ${kebab} with its configuration from the environment.
import { serve } from "@pipeline/handler-base";
import { defineConfig } from "@pipeline/handler-base/config";
import { ${camel} } from "./handler.ts";

void serve({ name: "${kebab}", config: defineConfig({}), services: () => [${camel}()] });
`;

const test = (name: ServiceName, testModule: string) => `// The service against a real nats-server, called in both ways.
import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { createClient, startService } from "@pipeline/handler-base";
import { defineConfig } from "@pipeline/handler-base/config";
import { startNats } from "@pipeline/testkit";
import { test } from "${testModule}";
import { GreetRequestSchema, GreetResponseSchema, ${name.pascal}Service } from "../src/${generated(name)}";
import { ${name.camel} } from "../src/handler.ts";

const start = (natsUrl: string) =>
  startService(
    { name: "${name.kebab}", config: defineConfig({}), services: () => [${name.camel}()] },
    { NATS_URL: natsUrl, HEALTH_HOST: "127.0.0.1", HEALTH_PORT: "0", LOG_LEVEL: "error" },
  );

test("answers a request", async () => {
  await using nats = await startNats();
  await using service = await start(nats.url);
  assert.ok(service.healthUrl.startsWith("http://127.0.0.1:"));
  const client = createClient(${name.pascal}Service, await nats.connect());
  assert.equal((await client.greet({ name: "Ada" })).text, "Good day, Ada.");
  await assert.rejects(client.greet({ name: "" }), { code: "invalid_argument" });
});

test("answers an event of a publisher who knows only subjects and protobuf", async () => {
  await using nats = await startNats();
  await using service = await start(nats.url);
  assert.ok(service.healthUrl.startsWith("http://127.0.0.1:"));
  const nc = await nats.connect();
  const answers = nc.subscribe("${name.snake}.response.r1", { max: 1 });
  const request = create(GreetRequestSchema, { requestId: "r1", name: "Ada" });
  nc.publish("${name.snake}.request", toBinary(GreetRequestSchema, request));
  for await (const answer of answers) {
    assert.equal(fromBinary(GreetResponseSchema, answer.data).text, "Good day, Ada.");
  }
  assert.equal(answers.getReceived(), 1);
});
`;
