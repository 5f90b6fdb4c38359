// The official TypeScript SDK, first major version, as it runs tools as tasks (its experiment of 2025-11-25). One JSON
// document in (url, headers, calls), one out: what each call came to, and what was asked on the way.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { CallToolResultSchema, ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";

const { url, headers, calls } = JSON.parse(process.argv[2]);
const client = new Client({ name: "counterpart-tasks", version: "1" }, { capabilities: { elicitation: { form: {} } } });
const asked = [];
client.setRequestHandler(ElicitRequestSchema, (request) => {
  asked.push({ message: request.params.message, task: request.params._meta?.["io.modelcontextprotocol/related-task"]?.taskId });
  const [name, field] = Object.entries(request.params.requestedSchema.properties)[0];
  return { action: "accept", content: { [name]: field.type === "boolean" ? true : `Ann ${asked.length}` } };
});
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
const { tools } = await client.listTools();

const results = [];
for (const { tool, arguments: args, cancel } of calls) {
  const seen = [];
  try {
    const said = client.experimental.tasks.callToolStream({ name: tool, arguments: args ?? {} }, CallToolResultSchema, {
      task: { ttl: 60_000 },
    });
    for await (const message of said) {
      seen.push(message.type);
      if (cancel && message.type === "taskCreated") await client.experimental.tasks.cancelTask(message.task.taskId);
      if (message.type === "result") results.push({ status: "completed", result: message.result, seen });
      if (message.type === "error") results.push({ status: "failed", error: { code: message.error.code, message: message.error.message }, seen });
    }
  } catch (error) {
    results.push({ status: "failed", error: { code: error.code, message: error.message }, seen });
  }
}
const listed = client.getServerCapabilities().tasks?.list ? (await client.experimental.tasks.listTasks()).tasks.length : null;
await client.close();
process.stdout.write(JSON.stringify({ support: Object.fromEntries(tools.map((t) => [t.name, t.execution?.taskSupport])), results, asked, listed }));
