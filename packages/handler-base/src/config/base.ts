// Variables that every service has: how to reach NATS, what to override of the contract, health, shutdown, logs, telemetry.
import { env, type Variable } from "./env.ts";

export const baseVariables = {
  natsUrl: env.urls("NATS_URL", {
    default: "nats://127.0.0.1:4222",
    bareHost: { scheme: "nats", port: 4222 },
    doc: "NATS servers; one of them may hold user and password, or a token",
  }),
  natsToken: env.secretFile("NATS_TOKEN", { optional: true, doc: "Token that NATS asks for" }),
  natsUser: env.string("NATS_USER", { optional: true, doc: "User that NATS asks for" }),
  natsPassword: env.secretFile("NATS_PASSWORD", { optional: true, doc: "Password of that user" }),
  natsCreds: env.secretFile("NATS_CREDS", { optional: true, doc: "Credentials (JWT and seed) as in a .creds file" }),
  natsNkey: env.secretFile("NATS_NKEY", { optional: true, doc: "Seed of the nkey that NATS knows the service by" }),
  natsTlsCaFile: env.string("NATS_TLS_CA_FILE", {
    optional: true,
    doc: "PEM file of the authority that signed the certificate of NATS",
  }),
  natsTlsCertFile: env.string("NATS_TLS_CERT_FILE", { optional: true, doc: "PEM file of the client certificate" }),
  natsTlsKeyFile: env.string("NATS_TLS_KEY_FILE", { optional: true, doc: "PEM file of its private key" }),
  installation: env.string("INSTALLATION", {
    default: "",
    doc: "Goes before every subject, stream, consumer and bucket, so that installations share one account",
  }),
  concurrency: env.int("CONCURRENCY", {
    optional: true,
    min: 1,
    max: 10_000,
    doc: "Calls of one method at a time on each path, in place of the contract's",
  }),
  ackWait: env.duration("ACK_WAIT", {
    optional: true,
    min: 1000,
    doc: "Time after which an event that nobody works on is delivered again, in place of the contract's",
  }),
  maxReplicas: env.int("MAX_REPLICAS", {
    default: 10,
    min: 1,
    max: 1000,
    doc: "Most replicas of the service that run at once; times the concurrency it bounds what consumers hand out",
  }),
  provision: env.enum("PROVISION", ["apply", "bind"], {
    default: "apply",
    doc: "`apply` makes streams and consumers that are missing; `bind` changes nothing and fails if they do not fit",
  }),
  streamReplicas: env.int("STREAM_REPLICAS", {
    optional: true,
    min: 1,
    max: 5,
    doc: "Copies of every stream, in place of the contract's",
  }),
  streamStorage: env.enum("STREAM_STORAGE", ["file", "memory"], {
    optional: true,
    doc: "Where streams are stored, in place of the contract's",
  }),
  healthHost: env.string("HEALTH_HOST", { default: "0.0.0.0", doc: "Address of the health and metrics server" }),
  healthPort: env.int("HEALTH_PORT", {
    default: 8080,
    min: 0,
    max: 65_535,
    doc: "Port of the health and metrics server; 0 takes a free one",
  }),
  shutdownGrace: env.duration("SHUTDOWN_GRACE", {
    default: "25s",
    max: 3_600_000,
    doc: "Time that calls in flight have after SIGTERM; some seconds less than the grace period of the pod",
  }),
  logLevel: env.enum("LOG_LEVEL", ["debug", "info", "warn", "error"], {
    default: "info",
    doc: "Least severe lines that are logged",
  }),
  otlpEndpoint: env.url("OTEL_EXPORTER_OTLP_ENDPOINT", {
    optional: true,
    doc: "Collector for traces, metrics and logs (OTLP over HTTP, protobuf); without it nothing is sent",
  }),
  otelDisabled: env.bool("OTEL_SDK_DISABLED", { default: false, doc: "Sends nothing even if a collector is named" }),
  tracesSampler: env.enum(
    "OTEL_TRACES_SAMPLER",
    [
      "always_on",
      "always_off",
      "traceidratio",
      "parentbased_always_on",
      "parentbased_always_off",
      "parentbased_traceidratio",
    ],
    { default: "parentbased_traceidratio", doc: "Which traces are recorded" },
  ),
  tracesSamplerArg: env.number("OTEL_TRACES_SAMPLER_ARG", {
    default: 1,
    min: 0,
    max: 1,
    doc: "Share of traces that a ratio sampler records",
  }),
};

/** Values of the variables that every service has. */
export type BaseConfig = {
  readonly [K in keyof typeof baseVariables]: (typeof baseVariables)[K] extends Variable<infer T> ? T : never;
};

/** Contradictions among these values. */
export function checkBase(config: BaseConfig): readonly string[] {
  const problems: string[] = [];
  const ways = [
    config.natsToken === undefined ? undefined : "NATS_TOKEN",
    config.natsUser === undefined ? undefined : "NATS_USER",
    config.natsCreds === undefined ? undefined : "NATS_CREDS",
    config.natsNkey === undefined ? undefined : "NATS_NKEY",
  ].filter((name) => name !== undefined);
  if (ways.length > 1) problems.push(`${ways.join(" and ")} are different ways to log in to NATS; keep one of them`);
  if ((config.natsUser === undefined) !== (config.natsPassword === undefined)) {
    problems.push("NATS_USER and NATS_PASSWORD belong together; set both or neither");
  }
  if ((config.natsTlsCertFile === undefined) !== (config.natsTlsKeyFile === undefined)) {
    problems.push("NATS_TLS_CERT_FILE and NATS_TLS_KEY_FILE belong together; set both or neither");
  }
  if (!/^[A-Za-z0-9-]{0,32}$/.test(config.installation)) {
    problems.push("INSTALLATION: an installation's name has at most 32 letters, digits and dashes");
  }
  return problems;
}
