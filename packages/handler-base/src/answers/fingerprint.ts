// What makes two requests the same: who asks, and every field of the message, however it was encoded.
import { createHash } from "node:crypto";
import { clone, toBinary, type DescMessage, type Message } from "@bufbuild/protobuf";
import { isReflectMessage, reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect";

/** Digest of user and message. Equal for equal messages: maps, the one thing that has no order of its own, are written sorted by key. */
export function fingerprintOf(desc: DescMessage, message: Message, userId: string): string {
  let canonical = message;
  if (hasMaps(desc)) {
    canonical = clone(desc, message);
    sortMaps(reflect(desc, canonical, false));
  }
  return createHash("sha256").update(userId).update("\0").update(toBinary(desc, canonical)).digest("base64url");
}

const known = new WeakMap<DescMessage, boolean>();

function hasMaps(root: DescMessage): boolean {
  let found = known.get(root);
  if (found === undefined) {
    const seen = new Set([root]);
    for (const desc of seen) {
      for (const field of desc.fields) if (field.message) seen.add(field.message);
    }
    found = [...seen].some(({ fields }) => fields.some(({ fieldKind }) => fieldKind === "map"));
    known.set(root, found);
  }
  return found;
}

/** Structs are given as copies, so every child is set again. */
function sortMaps(message: ReflectMessage): void {
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    if (field.fieldKind === "message") {
      message.set(field, sorted(message.get(field)));
    } else if (field.fieldKind === "list" && field.listKind === "message") {
      const list = message.get(field);
      for (const [index, child] of [...list].entries()) list.set(index, sorted(child));
    } else if (field.fieldKind === "map") {
      const map = message.get(field);
      const entries = [...map].toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1));
      map.clear();
      for (const [key, value] of entries) map.set(key, sorted(value));
    }
  }
}

function sorted<T>(value: T): T {
  if (isReflectMessage(value)) sortMaps(value);
  return value;
}
