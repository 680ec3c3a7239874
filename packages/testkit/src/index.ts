// Tools for tests of services: a real nats-server, and what else they need to be real.
export { startNats, type NatsFixture, type NatsOptions } from "./nats.ts";
export {
  startModelServer,
  type ModelFault,
  type ModelRequest,
  type ModelRole,
  type ModelServer,
  type ModelServerOptions,
  type Script,
} from "./model-server.ts";
export { startNatsCluster, type NatsCluster } from "./cluster.ts";
export { freePorts } from "./ports.ts";
export { startProcess, type Exit, type ProcessFixture, type ProcessOptions } from "./process.ts";
