// A client on the official TypeScript SDK, first major version: the initialize handshake only.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { answer } from "./asked.mjs";

// This SDK keeps the agreed revision to itself, unless the transport wants to know.
class Sse extends SSEClientTransport {
  setProtocolVersion(version) {
    super.setProtocolVersion(version);
    this.protocolVersion = version;
  }
}

class Stdio extends StdioClientTransport {
  setProtocolVersion(version) {
    this.protocolVersion = version;
  }
}

const SCHEMAS = {
  "elicitation/create": ElicitRequestSchema,
  "sampling/createMessage": CreateMessageRequestSchema,
  "roots/list": ListRootsRequestSchema,
};

await answer({
  sdk: "@modelcontextprotocol/sdk",
  make: (_mode, capabilities) => new Client({ name: "counterpart-ts1", version: "1" }, { capabilities }),
  on: (client, method, handler) => client.setRequestHandler(SCHEMAS[method], handler),
  http: (url, headers) => new (url.pathname.endsWith("/sse") ? Sse : StreamableHTTPClientTransport)(url, { requestInit: { headers } }),
  stdio: (parameters) => new Stdio(parameters),
  version: (_client, transport) => transport.protocolVersion,
  during: (options) => [undefined, options],
});
