// A client on the official TypeScript SDK, second major version. `--mode auto` (unless told otherwise) asks the server
// which era it speaks; `legacy` is what this SDK does when nothing is said; a revision pins it.
import { Client, SSEClientTransport, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { answer } from "./asked.mjs";

const named = (mode) => (mode === "auto" || mode === "legacy" ? mode : { pin: mode });

await answer({
  sdk: "@modelcontextprotocol/client",
  make: (mode = "auto", capabilities = {}) =>
    new Client({ name: "counterpart-ts2", version: "1" }, { capabilities, versionNegotiation: { mode: named(mode) } }),
  on: (client, method, handler) => client.setRequestHandler(method, handler),
  http: (url, headers) => new (url.pathname.endsWith("/sse") ? SSEClientTransport : StreamableHTTPClientTransport)(url, { requestInit: { headers } }),
  stdio: (parameters) => new StdioClientTransport(parameters),
  version: (client) => client.getNegotiatedProtocolVersion(),
});
