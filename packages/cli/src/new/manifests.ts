// package.json and the settings of tools for a new service.
import type { ServiceName } from "./service-name.ts";
import type { Files } from "./sources.ts";

/** Versions of what is not ours; a test compares them with the repository's. */
export const versions = {
  "@bufbuild/buf": "1.75.0",
  "@bufbuild/protobuf": "2.17.0",
  "@bufbuild/protoc-gen-es": "2.17.0",
  "@bufbuild/protovalidate": "1.3.0",
  "@types/node": "26.6.6",
  typescript: "7.0.2",
  vitest: "5.1.1",
} as const;

const only = (...names: readonly (keyof typeof versions)[]) =>
  Object.fromEntries(names.map((name) => [name, versions[name]]));

const json = (value: unknown) => `${JSON.stringify(value, undefined, 2)}\n`;

const generation = (inputs: string, out: string) => `version: v2
clean: true
inputs:
  - directory: ${inputs}
plugins:
  - local: protoc-gen-es
    out: ${out}
    opt:
      - target=ts
      - import_extension=ts
      - erasable_syntax=true
      - rewrite_imports=./handler/**/*_pb.js:@pipeline/messages
      - rewrite_imports=./messages/**/*_pb.js:@pipeline/messages
      - rewrite_imports=./buf/validate/*_pb.js:@bufbuild/protovalidate/gen
`;

function inside({ kebab }: ServiceName): Files {
  const folder = `services/${kebab}`;
  return {
    "package.json": json({
      name: `@pipeline/${kebab}`,
      version: "0.1.0",
      private: true,
      license: "Apache-2.0",
      type: "module",
      scripts: {
        build: "rolldown -c ../../rolldown.config.ts",
        generate: `cd ../.. && buf generate --template ${folder}/buf.gen.yaml`,
        test: "vitest run",
      },
      dependencies: {
        ...only("@bufbuild/protobuf", "@bufbuild/protovalidate"),
        "@pipeline/handler-base": "*",
        "@pipeline/messages": "*",
      },
      devDependencies: { "@pipeline/testkit": "*", ...only("vitest") },
    }),
    "buf.gen.yaml": generation(`${folder}/proto`, `${folder}/src/gen`),
    "vitest.config.ts": `// Tests run against a real nats-server, which is fetched on first use: slow machines need time.
import { defineConfig } from "vitest/config";

export default defineConfig({ test: { testTimeout: 60_000, hookTimeout: 120_000 } });
`,
  };
}

function outside({ kebab }: ServiceName, packages: ReadonlyMap<string, string>): Files {
  const ours = (...names: readonly string[]) =>
    Object.fromEntries(names.map((name) => [`@pipeline/${name}`, packages.get(`@pipeline/${name}`) ?? "*"]));
  return {
    "package.json": json({
      name: kebab,
      version: "0.1.0",
      private: true,
      type: "module",
      engines: { node: ">=22.18" },
      scripts: {
        start: "node src/main.ts",
        generate: "buf generate",
        pretest: "npm run --silent generate",
        test: 'node --test "test/*.test.ts"',
        check: "tsc -p .",
      },
      dependencies: {
        ...only("@bufbuild/protobuf", "@bufbuild/protovalidate"),
        ...ours("handler-base", "messages"),
      },
      devDependencies: {
        ...only("@bufbuild/buf", "@bufbuild/protoc-gen-es", "@types/node", "typescript"),
        ...ours("artifacts", "cli", "testkit"),
      },
    }),
    "buf.yaml": "version: v2\nmodules:\n  - path: proto\n  - path: node_modules/@pipeline/messages/proto\n",
    "buf.gen.yaml": generation("proto", "src/gen"),
    "tsconfig.json": json({
      compilerOptions: {
        target: "es2024",
        lib: ["es2025", "esnext.disposable"],
        module: "nodenext",
        types: ["node"],
        noEmit: true,
        allowImportingTsExtensions: true,
        erasableSyntaxOnly: true,
        verbatimModuleSyntax: true,
        strict: true,
        noUncheckedIndexedAccess: true,
      },
      include: ["src", "test"],
    }),
    ".gitignore": "node_modules/\n",
  };
}

export const manifests = { inside, outside };
