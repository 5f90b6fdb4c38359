"""The command line of the official inspector, which asks one question each time it is started."""

import json
import os
import sys
from pathlib import Path

from ask import PROMPT, RESOURCE, Ask, answer

sys.path.append(str(Path(__file__).parents[1]))

from counterparts.commands import asked, inspector_line

INSPECTOR = inspector_line()
"""npx @modelcontextprotocol/inspector --cli"""


def over_http(url: str, token: str) -> list[str]:
    return [*INSPECTOR, url, "--transport", "http", "--header", f"Authorization: Bearer {token}"]


def over_stdio(command: str, *arguments: str) -> list[str]:
    servers = {"mcpServers": {"douane": {"command": command, "args": arguments}}}
    Path(os.environ["HOME"], "servers.json").write_text(json.dumps(servers))
    return [*INSPECTOR, "--config", os.path.expanduser("~/servers.json"), "--server", "douane"]


async def talk(ask: Ask) -> None:
    line = (over_http if ask.door == "http" else over_stdio)(*ask.to)

    async def question(method, *options):
        return await asked([*line, "--method", method, *options])

    async def call(name, arguments):
        given = [f"{key}={value}" for key, value in arguments.items()]
        return await question("tools/call", "--tool-name", name, "--tool-arg", *given)

    ask.tools(tool["name"] for tool in (await question("tools/list"))["tools"])
    await ask.calls(call)
    await ask("resource", question("resources/read", "--uri", RESOURCE))
    name, arguments = PROMPT
    given = [f"{key}={value}" for key, value in arguments.items()]
    await ask("prompt", question("prompts/get", "--prompt-name", name, "--prompt-args", *given))


answer(talk)
