// Packs what leaves the repository into tarballs that an outside project can install: compiled JavaScript with declarations, a package.json
// of their own, licence and notice. Usage: node tools/pack.ts [FOLDER], default dist/packages. Prints the paths of the tarballs.
//
// I1  The tarballs are a closed set: what one of them imports is in another of them or comes from a registry.
// I2  A package's manifest is its manifest here with sources replaced by what was made of them; nothing is listed twice.
import { execFileSync } from "node:child_process";
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const root = dirname(import.meta.dirname);
const bin = (name: string) => join(root, "node_modules", ".bin", name);

/** In the order of their dependencies; `artifacts` goes along because testkit and cli fetch with it. */
const packed = ["messages", "artifacts", "handler-base", "testkit", "cli"] as const;

const { description: general } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest;

interface Manifest {
  name: string;
  version: string;
  description?: string;
  exports?: Record<string, string>;
  bin?: Record<string, string>;
  dependencies?: Record<string, string>;
}

const manifestOf = (name: string) =>
  JSON.parse(readFileSync(join(root, "packages", name, "package.json"), "utf8")) as Manifest;

/** Makes all tarballs in `folder`; returns their paths by package name. */
export function pack(folder: string): Map<string, string> {
  mkdirSync(folder, { recursive: true });
  mkdirSync(join(root, "dist"), { recursive: true });
  // Inside the repository: declarations of one package are compiled against by the next and find their own dependencies from there.
  const staging = mkdtempSync(join(root, "dist", "staging-"));
  try {
    return new Map(packed.map((name) => [manifestOf(name).name, packOne(name, staging, folder)]));
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

function packOne(name: (typeof packed)[number], staging: string, folder: string): string {
  const stage = join(staging, name);
  mkdirSync(stage, { recursive: true });
  compile(name, stage, staging);
  writeFileSync(join(stage, "package.json"), `${JSON.stringify(outsideManifest(name, stage), null, 2)}\n`);
  for (const file of ["LICENSE", "NOTICE"]) cpSync(join(root, file), join(stage, file));
  if (name === "messages") {
    // Whoever writes a service imports the options and the rules in a .proto file.
    for (const proto of ["proto", "proto-vendor"]) cpSync(join(root, proto), join(stage, "proto"), { recursive: true });
  }
  const args = ["pack", "--silent", "--pack-destination", folder];
  return join(folder, execFileSync("npm", args, { cwd: stage, encoding: "utf8" }).trim());
}

/** Compiles `packages/NAME/src`; other packed packages are seen as what was made of them. */
function compile(name: (typeof packed)[number], stage: string, staging: string): void {
  const paths: Record<string, string[]> = {};
  for (const other of packed.slice(0, packed.indexOf(name))) {
    const { name: id, exports = {} } = manifestOf(other);
    for (const [key, source] of Object.entries(exports)) {
      paths[id + key.slice(1)] = [join(staging, other, made(source, ".d.ts"))];
    }
  }
  const config = {
    extends: join(root, "tsconfig.json"),
    compilerOptions: {
      noEmit: false,
      declaration: true,
      rewriteRelativeImportExtensions: true,
      stripInternal: true,
      rootDir: join(root, "packages", name, "src"),
      outDir: join(stage, "dist"),
      typeRoots: [join(root, "node_modules", "@types")],
      paths,
    },
    include: [join(root, "packages", name, "src")],
  };
  const file = join(staging, `${name}.tsconfig.json`);
  writeFileSync(file, JSON.stringify(config));
  execFileSync(bin("tsc"), ["-p", file], { stdio: "inherit" });
}

function outsideManifest(name: string, stage: string): object {
  const manifest = manifestOf(name);
  const all = packed.map((each) => manifestOf(each));
  const used = importsOf(stage);
  const dependencies: Record<string, string> = {};
  for (const [id, version] of Object.entries(manifest.dependencies ?? {})) {
    const inner = all.find((each) => each.name === id);
    if (inner) dependencies[id] = inner.version;
    else if (!id.startsWith("@pipeline/")) dependencies[id] = version;
    else if (used.has(id)) throw new Error(`packages/${name} imports ${id}, which does not leave the repository`); // I1
  }
  return {
    name: manifest.name,
    version: manifest.version,
    description: manifest.description ?? general,
    license: "Apache-2.0",
    type: "module",
    engines: { node: ">=22" },
    files: ["dist", ...(name === "messages" ? ["proto"] : []), "LICENSE", "NOTICE"],
    ...(manifest.exports && {
      exports: Object.fromEntries(
        Object.entries(manifest.exports).map(([key, source]) => [
          key,
          { types: made(source, ".d.ts"), default: made(source, ".js") },
        ]),
      ),
    }),
    ...(manifest.bin && {
      bin: Object.fromEntries(Object.entries(manifest.bin).map(([key, source]) => [key, made(source, ".js").slice(2)])),
    }),
    dependencies,
  };
}

/** Names of the packages that the compiled files import. */
function importsOf(stage: string): Set<string> {
  const found = new Set<string>();
  for (const file of globSync("dist/**/*.js", { cwd: stage })) {
    const text = readFileSync(join(stage, file), "utf8");
    for (const [, id = ""] of text.matchAll(/(?:from|import\()\s*"((?:@[\w-]+\/)?[\w-]+)[^"]*"/g)) found.add(id);
  }
  return found;
}

/** `./src/a.ts` → `./dist/a.js`. */
const made = (source: string, extension: string) => source.replace("./src/", "./dist/").replace(/\.ts$/, extension);

if (import.meta.main) {
  for (const path of pack(resolve(process.argv[2] ?? join(root, "dist", "packages"))).values()) console.log(path);
}
