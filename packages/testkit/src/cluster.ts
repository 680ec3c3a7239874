// A cluster of three real nats-servers on loopback, with routes among them and JetStream: what streams with three copies need.
import { connect } from "@nats-io/transport-node";
import type { ConnectionOptions, NatsConnection } from "@nats-io/nats-core";
import { jetstreamManager } from "@nats-io/jetstream";
import { startNats, type NatsFixture } from "./nats.ts";
import { freePorts } from "./ports.ts";

/** A running cluster. Disposing kills all its nodes. */
export interface NatsCluster extends AsyncDisposable {
  /** Each can be killed, restarted, paused and resumed by itself. */
  readonly nodes: readonly NatsFixture[];
  /** Addresses of all nodes, separated by commas. */
  readonly urls: string;
  /** A connection to whichever node is up. It is closed with the cluster. */
  readonly connect: (options?: ConnectionOptions) => Promise<NatsConnection>;
  /** The node that leads a stream at the moment; undefined during an election. */
  readonly leaderOf: (stream: string) => Promise<NatsFixture | undefined>;
}

const size = 3;

/** Starts the nodes and resolves when they have a leader and take connections. */
export async function startNatsCluster(): Promise<NatsCluster> {
  const routes = await freePorts(size);
  const urls = routes.map((port) => `nats://127.0.0.1:${port}`);
  const starting = await Promise.allSettled(
    routes.map((port, index) =>
      startNats({
        config:
          `server_name: node-${index + 1}\n` +
          `cluster { name: test, listen: "127.0.0.1:${port}", routes: ${JSON.stringify(urls)} }\n`,
      }),
    ),
  );
  const nodes = starting.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const failed = starting.find((one) => one.status === "rejected");
  if (failed) {
    await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()));
    throw failed.reason;
  }
  const connections: NatsConnection[] = [];
  const open = async (given: ConnectionOptions = {}) => {
    const connection = await connect({
      servers: nodes.map(({ url }) => url),
      maxReconnectAttempts: -1,
      reconnectTimeWait: 100,
      noAsyncTraces: true,
      ...given,
    });
    connections.push(connection);
    return connection;
  };
  return {
    nodes,
    urls: nodes.map(({ url }) => url).join(","),
    connect: open,
    async leaderOf(stream) {
      const nc = await open();
      const { cluster } = await (await jetstreamManager(nc, { checkAPI: false })).streams.info(stream);
      await nc.close();
      return nodes.find((_, index) => cluster?.leader === `node-${index + 1}`);
    },
    async [Symbol.asyncDispose]() {
      for (const node of nodes) node.resume(); // what is paused answers no close
      await Promise.all(connections.map((connection) => connection.close()));
      await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()));
    },
  };
}
