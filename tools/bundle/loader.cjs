// Starts service.cjs. Where a file has V8's code cache beside it (NAME.cache), its functions need not be compiled again. Without the
// caches, or with caches made by another Node, everything works and starts slower.
//
// The chunks are loaded here and not by Node's own loader: looking for them takes longer than running them.
"use strict";
const { readFileSync } = require("node:fs");
const { Module } = require("node:module");
const { Script } = require("node:vm");

/** By file name inside this folder. */
const modules = new Map();

/** `name`: path from this folder, with `/`. */
function load(name) {
  const known = modules.get(name);
  if (known !== undefined) return known.exports;
  const filename = `${__dirname}/${name}`;
  const module = { exports: {}, filename };
  modules.set(name, module);
  try {
    const folder = name.slice(0, name.lastIndexOf("/") + 1);
    const requireFrom = (id) => (id.startsWith(".") ? load(join(folder, id)) : require(id));
    compiled(filename).call(module.exports, module.exports, requireFrom, module, filename, `${__dirname}/${folder}`);
  } catch (error) {
    modules.delete(name);
    throw error;
  }
  return module.exports;
}

function compiled(filename) {
  const source = Module.wrap(readFileSync(filename, "utf8"));
  let cachedData;
  try {
    cachedData = readFileSync(`${filename}.cache`);
  } catch {
    // No cache: the usual way.
  }
  const script = new Script(source, { filename, cachedData });
  if (script.cachedDataRejected)
    process.emitWarning(`${filename}.cache is of another Node or other V8 flags; not used`);
  return script.runInThisContext();
}

/** `id` as it is meant in a folder of this one: `./x`, `../x`. */
function join(folder, id) {
  const parts = folder.split("/").slice(0, -1);
  for (const part of id.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}

module.exports = load("service.cjs");
