// A bundler plugin that has the NATS client load node:tls at its first use: it takes 10 ms and 5 MB, and a connection inside a cluster
// often has no TLS.
import type { Plugin } from "rolldown";

const id = "\0lazy-tls";

const source = `
exports.connect = (...given) => process.getBuiltinModule("node:tls").connect(...given);
exports.TLSSocket = class { static [Symbol.hasInstance](socket) { return socket?.encrypted === true; } };
`;

export function lazyTls(): Plugin {
  return {
    name: "lazy-tls",
    resolveId(wanted, importer) {
      const fromClient = importer?.replaceAll("\\", "/").includes("/node_modules/@nats-io/transport-node/");
      return wanted === "node:tls" && fromClient ? id : null;
    },
    load: (wanted) => (wanted === id ? source : null),
  };
}
