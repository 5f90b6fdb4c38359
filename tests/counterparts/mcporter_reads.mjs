// What mcporter finds of the clients named, in the files where it looks for theirs, below this folder and $HOME: a JSON
// list, one item per client, of the tools of each server that it reads there and then asks, by the server's name.
import { writeFileSync } from "node:fs";
import { createRuntime } from "mcporter";

const found = async (client) => {
  const configPath = `mcporter-${client}.json`;
  writeFileSync(configPath, JSON.stringify({ mcpServers: {}, imports: [client] }));
  const runtime = await createRuntime({ configPath, rootDir: process.cwd() });
  try {
    const tools = runtime.listServers().map(async (name) => {
      const listed = await runtime.listTools(name, { disableOAuth: true });
      return [name, listed.map((tool) => tool.name)];
    });
    return { servers: Object.fromEntries(await Promise.all(tools)) };
  } catch (error) {
    return { error: String(error) };
  } finally {
    await runtime.close();
  }
};

const said = [];
for (const client of process.argv.slice(2)) said.push(await found(client));
console.log(JSON.stringify(said));
