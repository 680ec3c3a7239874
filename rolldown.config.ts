// How a service becomes `dist/`: CommonJS, minified, each lazy import a chunk of its own. Run in the service's folder; entry src/main.ts.
//
// CommonJS because importing node:http as an ES module costs 40 ms at start. Chunks because a lazy import inside one file is parsed with it.
// Source maps are files of their own (*.map), so that an image can leave them out; `node --enable-source-maps` finds them.
import { readFileSync } from "node:fs";
import { defineConfig } from "rolldown";
import { lazyFiles } from "./tools/bundle/lazy-files.ts";
import { lazyTls } from "./tools/bundle/lazy-tls.ts";
import { leaveOut } from "./tools/bundle/leave-out.ts";
import { oneByte } from "./tools/bundle/one-byte.ts";
import { slimRules } from "./tools/bundle/slim-rules.ts";

export default defineConfig({
  input: { service: "src/main.ts" },
  platform: "node",
  plugins: [
    leaveOut({
      importer: "@opentelemetry/sdk-node",
      packages: [
        /^@opentelemetry\/exporter-\w+-otlp-(grpc|http)$/,
        /^@opentelemetry\/exporter-(zipkin|prometheus)$/,
        /^@opentelemetry\/(otlp-grpc-exporter-base|propagator-b3|configuration|instrumentation)$/,
      ],
      harmless: ["registerInstrumentations"],
    }),
    lazyTls(),
    lazyFiles(),
    slimRules(),
    oneByte(),
    {
      name: "loader",
      generateBundle() {
        const source = readFileSync(new URL("tools/bundle/loader.cjs", import.meta.url), "utf8");
        this.emitFile({ type: "asset", fileName: "main.cjs", source });
      },
    },
  ],
  output: {
    dir: "dist",
    cleanDir: true,
    format: "cjs",
    // A module of Node's that is imported later (node:http by the OTLP exporters) is required: the code cache's loader knows no import().
    dynamicImportInCjs: false,
    minify: true,
    comments: { legal: true, annotation: false, jsdoc: false },
    entryFileNames: "[name].cjs",
    chunkFileNames: ({ name, moduleIds }) =>
      `chunks/${/^(dist|index|src|main|lib|esm|mod)$/.test(name) ? packageOf(moduleIds.at(-1)) : name}.cjs`,
    sourcemap: true,
  },
});

/** Name for a chunk whose file name says nothing: the package that its last module is from. */
function packageOf(path = ""): string {
  const inside = path.replaceAll("\\", "/").split("/node_modules/").at(-1) ?? "";
  const [first = "part", second = ""] = inside.split("/");
  return first.startsWith("@") ? `${first.slice(1)}-${second}` : first;
}
