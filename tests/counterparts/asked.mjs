// What every Node client here is asked, and the one JSON document it answers with. The client itself differs.
//
//   client --url URL [--token T] | --stdio COMMAND...   [--calls '[{"name": ..., "arguments": ...}]'] [--mode MODE]
//          [--answers '{"elicitation/create": ..., "sampling/createMessage": ..., "roots/list": ...}']
//
// A call is of a tool unless it has a `method`: `resources/read` (`uri`), `prompts/get` (`name`, `arguments`) or
// `completion/complete` (`ref`, `argument`, `context`). With `progress`, what a tool tells of its progress is listed.
// What it has answers for it declares, and `asked` lists what it was asked.
// `--stdio` takes the rest of the line. Exit 0: connected, whatever was answered; 1: not connected, `error` says why.
import { parseArgs } from "node:util";

const LISTS = [
  ["tools", "tools", "listTools", "tools"],
  ["resources", "resources", "listResources", "resources"],
  ["resourceTemplates", "resources", "listResourceTemplates", "resourceTemplates"],
  ["prompts", "prompts", "listPrompts", "prompts"],
];

function asked(argv) {
  const at = argv.indexOf("--stdio");
  const options = { url: { type: "string" }, token: { type: "string" }, calls: { type: "string" }, answers: { type: "string" }, mode: { type: "string" } };
  const { values } = parseArgs({ args: at < 0 ? argv : argv.slice(0, at), options });
  const command = at < 0 ? [] : argv.slice(at + 1);
  if ((values.url === undefined) === (command.length === 0)) throw new Error("one of --url and --stdio");
  const { calls = "[]", answers = "{}" } = values;
  return { url: values.url, token: values.token, mode: values.mode, command, calls: JSON.parse(calls), answers: JSON.parse(answers) };
}

function fault(error) {
  const cause = error.cause?.message;
  const { code, data, status } = error;
  return { type: error.constructor.name, message: error.message, code, status, data, cause };
}

async function answered(work) {
  try {
    return { result: await work() };
  } catch (error) {
    return { error: fault(error) };
  }
}

async function listed(client, method, key) {
  const items = [];
  let cursor;
  do {
    const page = await client[method](cursor === undefined ? undefined : { cursor });
    items.push(...page[key]);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return items;
}

function askedFor(client, { method, name, arguments: given, uri, ref, argument, context, progress }, told, during) {
  switch (method) {
    case "resources/read":
      return client.readResource({ uri });
    case "prompts/get":
      return client.getPrompt({ name, arguments: given });
    case "completion/complete":
      return client.complete({ ref, argument, ...(context && { context: { arguments: context } }) });
    default:
      return client.callTool({ name, arguments: given }, ...(progress ? during({ onprogress: news(told) }) : []));
  }
}

const news = (told) => ({ progress, total, message }) => told.push([progress, total ?? null, message ?? null]);

async function everything(client, calls, said, during) {
  const capabilities = client.getServerCapabilities() ?? {};
  said.serverInfo = client.getServerVersion();
  said.instructions = client.getInstructions();
  said.capabilities = capabilities;
  for (const [name, capability, method, key] of LISTS) {
    if (capabilities[capability] === undefined) continue;
    const { result, error } = await answered(() => listed(client, method, key));
    said[name] = result ?? { error };
  }
  said.calls = [];
  for (const call of calls) {
    const told = [];
    const one = await answered(() => askedFor(client, call, told, during));
    said.calls.push({ method: call.method, name: call.name, ...one, ...(told.length && { progress: told }) });
  }
}

const DECLARED = {
  "elicitation/create": { elicitation: { form: {}, url: {} } },
  "sampling/createMessage": { sampling: { tools: {} } },
  "roots/list": { roots: {} },
};

function declared(answers) {
  return Object.assign({}, ...Object.keys(answers).map((method) => DECLARED[method]));
}

/** `make(mode, capabilities)` gives a client; `on(client, method, handler)` lets it answer; `http(url, headers)` and `stdio(parameters)` give its transports; `version` its revision;
 * `during(options)` is what follows the parameters of a tool call. */
export async function answer({ sdk, make, http, stdio, version, on, during = (options) => [options] }) {
  const said = { sdk };
  const { url, token, mode, command, calls, answers } = asked(process.argv.slice(2));
  const transport =
    url === undefined
      ? stdio({ command: command[0], args: command.slice(1), env: { ...process.env }, stderr: "inherit" })
      : http(new URL(url), token === undefined ? {} : { Authorization: `Bearer ${token}` });
  const client = make(mode, declared(answers));
  for (const [method, result] of Object.entries(answers)) {
    on(client, method, ({ params }) => {
      (said.asked ??= []).push({ method, params });
      return result;
    });
  }
  try {
    await client.connect(transport);
    said.protocolVersion = version(client, transport);
    await everything(client, calls, said, during);
  } catch (error) {
    said.error = fault(error);
    process.exitCode = 1;
  }
  await client.close().catch(() => {});
  process.stdout.write(`${JSON.stringify(said)}\n`);
}
