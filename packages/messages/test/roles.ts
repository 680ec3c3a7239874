// What part each message of the contract plays, from the descriptors: what starts a call is a request, what another message holds is a
// part, and everything else that travels alone is an answer.
import type { DescMessage } from "@bufbuild/protobuf";
import { contractFiles, contractServices } from "../src/index.ts";

export const messages: readonly DescMessage[] = contractFiles.flatMap((file) => file.messages);
export const methods = contractServices.flatMap((service) => service.methods);

const named = new Map(messages.map((desc) => [desc.typeName, desc]));
const inputs = new Set(methods.map(({ input }) => input.typeName));
const parts = new Set(
  messages.flatMap(({ fields }) => fields.flatMap(({ message: held }) => (held ? [held.typeName] : []))),
);

export const requests = messages.filter(({ typeName }) => inputs.has(typeName));

/** Every message that can be the body of an answer, ErrorResponse aside. */
export const answers = messages.filter(({ typeName }) => !inputs.has(typeName) && !parts.has(typeName));

/** A message type by its last name. Throws where the contract has none. */
export function message(name: string): DescMessage {
  const found = named.get(`messages.v1.${name}`);
  if (found === undefined) throw new Error(`the contract has no message ${name}`);
  return found;
}
