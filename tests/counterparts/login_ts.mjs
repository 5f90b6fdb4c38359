// A client on the official TypeScript SDK, `1` or `2`, that logs in: `login_ts.mjs 1|2 URL TOOL…`. It speaks as login_py.py does.
import { createInterface } from "node:readline";

const [major, url, ...tools] = process.argv.slice(2);
const { Client, StreamableHTTPClientTransport } =
  major === "1"
    ? {
        ...(await import("@modelcontextprotocol/sdk/client/index.js")),
        ...(await import("@modelcontextprotocol/sdk/client/streamableHttp.js")),
      }
    : await import("@modelcontextprotocol/client");

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const told = async () => (await lines.next()).value;

const kept = { scopes: [] };
const provider = {
  redirectUrl: "http://127.0.0.1:7777/callback",
  clientMetadata: { client_name: "TypeScript counterpart", redirect_uris: ["http://127.0.0.1:7777/callback"], application_type: "native" },
  state: () => "of the counterpart",
  clientInformation: () => kept.client,
  saveClientInformation: (client) => void (kept.client = client),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => void ((kept.tokens = tokens), kept.scopes.push(tokens.scope)),
  redirectToAuthorization: (to) => say({ authorize: String(to) }),
  saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
  codeVerifier: () => kept.verifier,
};

const fault = (error) => ({ name: error.constructor.name, message: String(error.message) });

/** Run `work`; where that wants a person, let the test be it, and run it once more. */
async function withLogin(transport, work) {
  try {
    return await work(transport());
  } catch (error) {
    if (error.name !== "UnauthorizedError" && error.constructor.name !== "UnauthorizedError") throw error;
    const query = new URL(await told()).searchParams;
    const asked = transport();
    await (major === "1" ? asked.finishAuth(query.get("code")) : asked.finishAuth(query));
    return await work(transport());
  }
}

const make = () => new StreamableHTTPClientTransport(new URL(url), { authProvider: provider });
const client = new Client({ name: "counterpart-ts", version: "1" }, {});
let current;
await withLogin(make, async (transport) => {
  current = transport;
  await client.connect(transport);
});
for (const name of tools) {
  say({ before: name });
  await told();
  try {
    say({ result: await withLogin(() => current, () => client.callTool({ name, arguments: {} })) });
  } catch (error) {
    say({ error: fault(error) });
  }
}
say({ scopes: kept.scopes, client: kept.client?.client_id ?? null });
await client.close().catch(() => {});
process.exit(0);
