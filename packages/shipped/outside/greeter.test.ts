import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { createClient } from "@pipeline/handler-base";
import { startNats } from "@pipeline/testkit";
import { GreeterService } from "./gen/greeter/v1/greeter_pb.js";

test("greets", async () => {
  await using nats = await startNats();
  const service = spawn(process.execPath, [new URL("greeter.js", import.meta.url).pathname], {
    env: { NATS_URL: nats.url, HEALTH_HOST: "127.0.0.1", HEALTH_PORT: "0" },
    stdio: "inherit",
  });
  const ended = once(service, "exit");
  const call = createClient(GreeterService, await nats.connect());
  // The service may still be starting: the call waits for it on the durable subject once that exists.
  let text = "";
  for (let tries = 0; tries < 200 && text === ""; tries += 1) {
    text = await call.greet({ name: "Ada" }).then(
      (answer) => answer.text,
      () => new Promise<string>((resolve) => setTimeout(resolve, 50, "")),
    );
  }
  assert.equal(text, "Good day, Ada.");
  service.kill("SIGTERM");
  assert.deepEqual(await ended, [0, null]);
});
