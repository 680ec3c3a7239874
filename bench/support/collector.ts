// A receiver of telemetry that takes everything and keeps nothing.
import { once } from "node:events";
import { createServer } from "node:http";

export async function startCollector(): Promise<{ readonly url: string } & Disposable> {
  const server = createServer((request, response) => {
    request.resume().on("end", () => response.writeHead(200, { "Content-Type": "application/x-protobuf" }).end());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the collector has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    [Symbol.dispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}
