// Makes everything that is derived from proto/: the code of packages/messages, formatted. Run after every change there.
import { execFileSync } from "node:child_process";

for (const [command, ...args] of [
  ["node", "tools/print-validate-proto.mjs"],
  ["buf", "generate"],
  ["buf", "generate", "--template", "packages/handler-base/test/buf.gen.yaml"],
] as const) {
  execFileSync(command, args, { stdio: "inherit" });
}
