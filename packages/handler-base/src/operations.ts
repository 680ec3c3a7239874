// What operators' tools use: connecting, calling by name, provisioning, dead letters, permissions.
export {
  answerType,
  contractsOf,
  findMethod,
  methodAt,
  openCatalogue,
  subjectUses,
  typeNamed,
} from "./operate/catalogue.ts";
export type { Catalogue, SubjectUse } from "./operate/catalogue.ts";
export { callMethod, publishEvent, requestFrom, type Piece } from "./operate/call.ts";
export { connectTool, toolConfig, withoutSecrets, type Tool, type ToolOptions } from "./operate/connect.ts";
export { environmentOf } from "./provision/configured.ts";
export { openDeadLetters, type DeadLetter, type DeadLetters, type LetterFilter } from "./operate/dead-letters.ts";
export {
  inboxPrefix,
  servicePermissions,
  unreadable,
  userPermissions,
  type Permissions,
} from "./operate/permissions.ts";
export { receive, type Received } from "./operate/receive.ts";
export {
  provision,
  reportLines,
  requireServer,
  type Entry,
  type Environment,
  type Mode,
  type Report,
} from "./provision/index.ts";
export type { MethodContract, ServiceContract } from "./contract.ts";
export { covers } from "./subjects.ts";
export { headers, installation, type Installation } from "./names.ts";
export { contentTypeOf, decode, loadMessagePack } from "./codec.ts";
export { errorFromHeaders } from "./answer.ts";
export { compareWithShadow, widest, type ShadowOptions } from "./operate/shadow.ts";
export type { Comparison, Side } from "./operate/shadow-answer.ts";
