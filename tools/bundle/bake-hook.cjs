// Preloaded into a run of a bundle: keeps what V8 compiled, and at the end writes it beside each file as NAME.cache, for loader.cjs.
/* oxlint-disable no-underscore-dangle -- Node calls this hook _compile. */
"use strict";
const { writeFileSync } = require("node:fs");
const { Module, createRequire } = require("node:module");
const { dirname } = require("node:path");
const { Script } = require("node:vm");

const scripts = new Map();
Module.prototype._compile = function (code, filename) {
  const script = new Script(Module.wrap(code), { filename });
  scripts.set(filename, script);
  return script
    .runInThisContext()
    .call(this.exports, this.exports, createRequire(filename), this, filename, dirname(filename));
};
process.on("exit", () => {
  for (const [filename, script] of scripts) writeFileSync(`${filename}.cache`, script.createCachedData());
});
