"""Tools that run as tasks, named as the official conformance suite wants them.

`python task_fixture.py [http PORT]`; `add_to` puts them on any server.
"""

import asyncio
import sys
from dataclasses import dataclass

from douane.sdk import Context, ProtocolError, Server, TaskSettings, ToolError

__all__ = ["add_to"]


@dataclass
class Named:
    name: str


@dataclass
class Confirmed:
    confirm: bool


def add_to(server: Server) -> None:
    @server.tool()
    async def greet(name: str = "World") -> str:
        """Greets at once."""
        return f"Hello, {name}!"

    @server.tool(task="optional", reads=True)
    async def slow_compute(seconds: float = 1.0, label: str = "") -> str:
        """Computes for some seconds."""
        await asyncio.sleep(seconds)
        return f"computed {label} for {seconds:g} s"

    @server.tool(task="required")
    async def failing_job() -> str:
        """Fails after a while."""
        await asyncio.sleep(1.0)
        raise ToolError("the job failed")

    @server.tool(task="optional")
    async def protocol_error_job() -> str:
        """Ends with an error of the protocol."""
        raise ProtocolError(-32603, "the job cannot be done")

    @server.tool(task="optional", destroys=True)
    async def confirm_delete(context: Context, filename: str = "a.txt") -> str:
        """Deletes a file, if its owner agrees."""
        answer = await context.elicit(f"Delete {filename}?", Confirmed, key="confirm")
        agreed = answer.content is not None and answer.content.confirm
        return f"{filename} is {'deleted' if agreed else 'kept'}"

    @server.tool(task="optional")
    async def multi_input(context: Context) -> str:
        """Asks for two names at once."""
        asked = (context.elicit(f"Name {key}?", Named, key=key) for key in ("one", "other"))
        answers = await asyncio.gather(*asked)
        return " and ".join(answer.content.name for answer in answers if answer.content is not None)

    @server.tool(task="required", asks_first=True)
    async def test_tool_with_task(context: Context) -> str:
        """Asks for a name, then goes on as a task."""
        answer = await context.elicit("Your name?", Named, key="user_name")
        await context.defer()
        return f"Hello, {answer.content.name if answer.content is not None else 'nobody'}!"


if __name__ == "__main__":
    server = Server("tasks-fixture", "1.0", tasks=TaskSettings(poll_s=0.05))
    add_to(server)
    match sys.argv[1:]:
        case ["http", port]:
            server.run("http", port=int(port))
        case _:
            server.run()
