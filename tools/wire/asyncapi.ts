// The contract as an AsyncAPI 3 document, seen from the services: they receive requests and send answers. Payloads are described in their
// ProtoJSON form; the bytes on the wire are protobuf unless a header says otherwise.
import { ScalarType, type DescField, type DescMessage } from "@bufbuild/protobuf";
import type { SubjectPattern } from "../../packages/handler-base/src/subjects.ts";
import { installation, names } from "../../packages/handler-base/src/names.ts";
import { commentOf, type Contract, type Rpc } from "./contract.ts";
import { limitsOf } from "./fields.ts";

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
type Part = Readonly<Record<string, Json>>;

/** The document. Keys are in the order of the contract, so that it changes where the contract changes. */
export function asyncApi({ services, messages }: Contract): Part {
  const rpcs = services.flatMap((service) => service.rpcs);
  const channels = new Map<string, { pattern: SubjectPattern | string; messages: Set<string>; rpc: Rpc }>();
  const operations: Record<string, Part> = {};

  const channel = (id: string, pattern: SubjectPattern | string, rpc: Rpc, ...types: readonly DescMessage[]) => {
    const known = channels.get(id) ?? { pattern, messages: new Set<string>(), rpc };
    channels.set(id, known);
    for (const { name } of types) known.messages.add(name);
    return {
      channel: { $ref: `#/channels/${id}` },
      messages: types.map(({ name }) => ({ $ref: `#/channels/${id}/messages/${name}` })),
    };
  };

  for (const rpc of rpcs) {
    const { desc, token, requestSubjects, events, reply } = rpc.contract;
    const summary = commentOf(desc);
    requestSubjects.forEach((subject, index) => {
      const id = index === 0 ? `${token}-request` : `${token}-request-${index + 1}`;
      operations[id] = {
        action: "receive",
        summary,
        ...channel(id, subject, rpc, desc.input),
        bindings: { nats: { queue: names(installation("")).queue } },
        reply: {
          address: { location: "$message.header#/reply", description: "The reply inbox of the request." },
          ...channel(`${token}-answer`, "", rpc, desc.output),
        },
      };
    });
    events.forEach(({ pattern }, index) => {
      const id = index === 0 ? `${token}-event` : `${token}-event-${index + 1}`;
      operations[id] = { action: "receive", summary, ...channel(id, pattern, rpc, desc.input) };
    });
    if (reply?.frames) {
      const id = `${token}-frames`;
      operations[id] = {
        action: "send",
        summary: `Frames of: ${summary}`,
        ...channel(id, reply.frames, rpc, desc.output),
      };
    }
    if (reply && rpc.final) {
      const id = `${token}-final`;
      operations[id] = {
        action: "send",
        summary: `Final answer of: ${summary}`,
        ...channel(id, reply.subject, rpc, rpc.final),
      };
    }
  }

  const bodies = new Set([...messages, ...rpcs.map(({ contract }) => contract.desc.input)]);
  return {
    asyncapi: "3.0.0",
    info: {
      title: "messages.v1",
      version: "1.0.0",
      description:
        "Subjects and messages of the AI handlers. docs/wire.md says the rest: headers, errors, identity, delivery.",
    },
    defaultContentType: "application/x-protobuf",
    channels: Object.fromEntries(
      [...channels].map(([id, one]) => [id, channelOf(one.pattern, [...one.messages], one.rpc)]),
    ),
    operations,
    components: {
      messages: Object.fromEntries([...bodies].map((message) => [message.name, messageOf(message)])),
      schemas: Object.fromEntries([...bodies].map((message) => [message.name, schemaOf(message)])),
    },
  };
}

const isForeign = ({ typeName }: DescMessage) => typeName.startsWith("google.");

function channelOf(pattern: SubjectPattern | string, types: readonly string[], { contract }: Rpc): Part {
  const fields = typeof pattern === "string" ? [] : [...pattern.fields.keys()];
  const described = (name: string) => contract.desc.input.fields.find((field) => field.name === name);
  return {
    address: (typeof pattern === "string" ? pattern : pattern.text) || null,
    messages: Object.fromEntries(types.map((name) => [name, { $ref: `#/components/messages/${name}` }])),
    ...(fields.length > 0 && {
      parameters: Object.fromEntries(
        fields.map((name) => {
          const field = described(name);
          return [name, { description: field === undefined ? name : commentOf(field) }];
        }),
      ),
    }),
  };
}

function messageOf(message: DescMessage): Part {
  return {
    name: message.typeName,
    ...(!isForeign(message) && { summary: commentOf(message) }),
    payload: { $ref: `#/components/schemas/${message.name}` },
  };
}

function schemaOf(message: DescMessage): Part {
  return {
    type: "object",
    properties: Object.fromEntries(
      message.fields.map((field) => [
        field.name,
        {
          ...valueOf(field),
          description: [commentOf(field), ...limitsOf(field).map((limit) => `Limit: ${limit}.`)].join(" "),
          "x-field-number": field.number,
        },
      ]),
    ),
  };
}

function valueOf(field: DescField): Part {
  const single = field.message
    ? { allOf: [{ $ref: `#/components/schemas/${field.message.name}` }] }
    : scalarOf(field.scalar ?? ScalarType.STRING);
  switch (field.fieldKind) {
    case "list":
      return { type: "array", items: single };
    case "map":
      return { type: "object", additionalProperties: single };
    default:
      return single;
  }
}

function scalarOf(type: ScalarType): Part {
  switch (type) {
    case ScalarType.BOOL:
      return { type: "boolean" };
    case ScalarType.STRING:
      return { type: "string" };
    case ScalarType.BYTES:
      return { type: "string", contentEncoding: "base64" };
    case ScalarType.FLOAT:
    case ScalarType.DOUBLE:
      return { type: "number" };
    case ScalarType.INT64:
    case ScalarType.UINT64:
      return { type: "string", format: ScalarType[type].toLowerCase() };
    default:
      return { type: "integer", format: ScalarType[type].toLowerCase() };
  }
}
