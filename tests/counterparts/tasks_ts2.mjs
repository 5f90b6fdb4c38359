// The official extension package on the official TypeScript SDK, second major version: it calls tools and looks after the
// tasks they run as, in the era that `mode` pins. One JSON document in (url, headers, mode, calls), one out: what each
// call came to. The host's own part is what asks the person, and the wire of the newest era, which the package leaves to it.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { createTaskSessionFromClient, toolDeclarationFromMcpTool } from "@modelcontextprotocol/ext-tasks/client";

const { url, headers, mode, calls } = JSON.parse(process.argv[2]);
const modern = mode === "2026-07-28";
const clientInfo = { name: "counterpart-tasks", version: "1" };
const capabilities = { elicitation: { form: {} }, extensions: { "io.modelcontextprotocol/tasks": {} } };

const client = new Client(clientInfo, {
  capabilities: modern ? capabilities : { elicitation: { form: {} } },
  versionNegotiation: { mode: modern ? { pin: mode } : "legacy" },
});
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));

let ids = 1000;
const named = { "tools/call": "name", "tasks/get": "taskId", "tasks/update": "taskId", "tasks/cancel": "taskId" };
const rawDispatch = async (request) => {
  const answered = await fetch(url, {
    method: "POST",
    headers: {
      ...headers,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": mode,
      "mcp-method": request.method,
      "mcp-name": request.params[named[request.method]],
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: ++ids, ...request }),
  });
  const message = await answered.json();
  return message.error ? { kind: "error", error: message.error } : { kind: "result", result: message.result };
};

const declared = new Map((await client.listTools()).tools.map((tool) => [tool.name, toolDeclarationFromMcpTool(tool)]));
const asked = [];
const session = createTaskSessionFromClient(client, {
  endpointId: "tests",
  tools: { currentTool: (name) => declared.get(name) },
  ...(modern && { rawDispatch, v2RequestFraming: { protocolVersion: mode, clientInfo, clientCapabilities: capabilities } }),
  onInputRequest: async (request, context) => {
    asked.push({ message: request.params.message, delivery: context.delivery });
    const [name, field] = Object.entries(request.params.requestedSchema.properties)[0];
    return { action: "accept", content: { [name]: field.type === "boolean" ? true : `Ann ${asked.length}` } };
  },
});

const results = [];
for (const { tool, arguments: args, cancel } of calls) {
  try {
    const execution = await session.callTool(tool, args ?? {}, { task: { preference: "prefer" } });
    if (cancel) await execution.cancel();
    const { outcome } = await execution.settle();
    const why = outcome.error && { code: outcome.error.code, message: outcome.error.message, cause: String(outcome.error.cause) };
    results.push({ kind: execution.kind, ...outcome, error: why });
  } catch (error) {
    results.push({ error: { name: error.name, code: error.code, message: error.message } });
  }
}
await session.close();
await client.close();
process.stdout.write(JSON.stringify({ revision: client.getNegotiatedProtocolVersion(), results, asked }));
