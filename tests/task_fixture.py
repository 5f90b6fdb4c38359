"""Tools that run as tasks, named as the official conformance suite wants them.

`python task_fixture.py [http PORT]`; `add_to` puts them on any server.
"""

import asyncio
import sys

from douane.sdk import ProtocolError, Server, TaskSettings, ToolError

__all__ = ["add_to"]


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


if __name__ == "__main__":
    server = Server("tasks-fixture", "1.0", tasks=TaskSettings(poll_s=0.05))
    add_to(server)
    match sys.argv[1:]:
        case ["http", port]:
            server.run("http", port=int(port))
        case _:
            server.run()
