// A client on the official TypeScript SDK, first major version: the initialize handshake only.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
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

await answer({
  sdk: "@modelcontextprotocol/sdk",
  make: () => new Client({ name: "counterpart-ts1", version: "1" }),
  http: (url, headers) => new (url.pathname.endsWith("/sse") ? Sse : StreamableHTTPClientTransport)(url, { requestInit: { headers } }),
  stdio: (parameters) => new Stdio(parameters),
  version: (_client, transport) => transport.protocolVersion,
  during: (options) => [undefined, options],
});
