// A server on the TypeScript SDK, as fast as it offers to be: over HTTP a session for each client, plain JSON answers.
//
//   node typescript_server.mjs http|stdio PORT TOOLS     (over stdio the port means nothing)
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { z } from 'zod'

const [kind, port, tools] = process.argv.slice(2)
const text = (said) => ({ content: [{ type: 'text', text: said }] })

function offer() {
  const server = new McpServer({ name: 'typescript', version: '1' })
  const echo = { description: 'Return the text.', inputSchema: { text: z.string() } }
  server.registerTool('echo', echo, async ({ text: said }) => text(said))
  const description = 'Looks a record up in the system behind this server, and returns what it holds.'
  const inputSchema = { key: z.string(), limit: z.number().int().default(1), fields: z.array(z.string()).optional() }
  for (let number = 1; number < Number(tools); number++)
    server.registerTool(`record_${number}`, { description, inputSchema }, async ({ key }) => text(key))
  return server
}

async function overHttp() {
  const sessions = new Map()
  createServer(async (request, response) => {
    let session = sessions.get(request.headers['mcp-session-id'])
    if (!session) {
      session = new StreamableHTTPServerTransport({
        enableJsonResponse: true,
        sessionIdGenerator: randomUUID,
        onsessioninitialized: (id) => sessions.set(id, session),
      })
      await offer().connect(session)
    }
    await session.handleRequest(request, response)
  }).listen(Number(port), '127.0.0.1')
}

await (kind === 'stdio' ? offer().connect(new StdioServerTransport()) : overHttp())
