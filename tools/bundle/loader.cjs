// Starts service.cjs. Where a file has V8's code cache beside it (NAME.cache), its functions need not be compiled again. Without the
// caches, or with caches made by another Node, everything works and starts slower.
/* oxlint-disable no-underscore-dangle -- Node calls this hook _compile. */
"use strict";
const { readFileSync } = require("node:fs");
const { Module, createRequire } = require("node:module");
const { dirname } = require("node:path");
const { Script } = require("node:vm");

const compile = Module.prototype._compile;
Module.prototype._compile = function (code, filename, ...rest) {
  let cachedData;
  try {
    if (dirname(filename).startsWith(__dirname)) cachedData = readFileSync(`${filename}.cache`);
  } catch {
    // No cache: the usual way.
  }
  if (cachedData === undefined) return compile.call(this, code, filename, ...rest);
  const script = new Script(Module.wrap(code), { filename, cachedData });
  if (script.cachedDataRejected)
    process.emitWarning(`${filename}.cache is of another Node or other V8 flags; not used`);
  return script
    .runInThisContext()
    .call(this.exports, this.exports, createRequire(filename), this, filename, dirname(filename));
};

module.exports = require("./service.cjs");
