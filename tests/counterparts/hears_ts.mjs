// A client on an official TypeScript SDK that subscribes to a resource, calls a tool that changes it, and prints what it
// has heard as one JSON document.
//
//     hears_ts.mjs SDK MODE URL TOKEN RESOURCE TOOL        (SDK: ts1 or ts2; MODE: auto or legacy)
const [sdk, mode, url, token, uri, tool] = process.argv.slice(2);
const requestInit = { headers: token ? { Authorization: `Bearer ${token}` } : {} };
const newer = sdk === "ts2";
const { Client } = await import(newer ? "@modelcontextprotocol/client" : "@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = newer
  ? await import("@modelcontextprotocol/client")
  : await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
const schemas = newer ? {} : await import("@modelcontextprotocol/sdk/types.js");
const client = new Client({ name: "hears", version: "1" }, newer ? { versionNegotiation: { mode } } : {});

const heard = new Promise((resolve) => {
  const updated = newer ? "notifications/resources/updated" : schemas.ResourceUpdatedNotificationSchema;
  client.setNotificationHandler(updated, (note) => resolve(note.params.uri));
});
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
let honoured = null;
if (newer && mode === "auto") {
  const subscription = await client.listen({ resourceSubscriptions: [uri] });
  honoured = subscription.honoredFilter ?? subscription.honored ?? null;
} else {
  await client.subscribeResource({ uri });
}
await client.callTool({ name: tool, arguments: {} });
const late = new Promise((_, reject) => setTimeout(() => reject(new Error("heard nothing")), 20_000).unref());
console.log(JSON.stringify({ heard: await Promise.race([heard, late]), honoured }));
await client.close();
process.exit(0);
