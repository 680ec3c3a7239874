// Tools for tests of services: a real nats-server, and what else they need to be real.
export { startNats, type NatsFixture, type NatsOptions } from "./nats.ts";
