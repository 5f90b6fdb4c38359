"""`douane dev` as a client of its line meets it, and as its user reads it on standard error."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from douane.sdk import Client, Reaching, ServerError

BOUND_S = 20.0
pytestmark = pytest.mark.slow

DOUANE = Path(sys.executable).parent / "douane"
FIRST = '''
from douane.sdk import Server

server = Server("first", "1")

@server.tool()
def say() -> str:
    """Say it."""
    return "one"
'''


class Dev:
    """A running `douane dev`: its client, and what it says."""

    def __init__(self, file: Path, text: str) -> None:
        file.write_text(text)
        self.file, self.said = file, list[str]()
        self.news = asyncio.Event()
        self.client = Client([str(DOUANE), "dev", str(file)], how=Reaching(on_stderr=self._hear, env=dict(os.environ)))

    def _hear(self, line: str) -> None:
        self.said.append(line)
        self.news.set()

    async def until(self, text: str) -> str:
        """The line that says `text`."""
        async with asyncio.timeout(BOUND_S):
            while not (found := [line for line in self.said if text in line]):
                self.news.clear()
                await self.news.wait()
        return found[-1]

    async def save(self, text: str, until: str) -> str:
        self.said.clear()
        self.file.write_text(text)
        return await self.until(until)

    async def text(self, tool: str = "say") -> str:
        return (await self.client.call(tool)).text


@asynccontextmanager
async def developing(file: Path, text: str = FIRST) -> AsyncIterator[Dev]:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    dev = Dev(file, text)
    async with dev.client:
        yield dev
    left = {child.pid for child in psutil.Process().children(recursive=True)} - before
    assert not left


async def test_a_saved_file_is_served_on_the_line_that_is_open(tmp_path: Path) -> None:
    async with developing(tmp_path / "server.py") as dev:
        assert "+ tool say" in await dev.until("started in")
        assert (dev.client.server, await dev.text()) == ({"name": "first", "version": "1"}, "one")

        said = await dev.save(
            FIRST.replace('"one"', '"two"').replace("Say it.", "Say two.")
            + "\n@server.tool()\ndef more() -> int:\n    return 2\n",
            "restarted in",
        )
        assert said.endswith("~ tool say (description), + tool more")
        assert "changed: server.py" in dev.said
        assert (await dev.text(), await dev.text("more")) == ("two", "2")
        assert [tool["name"] for tool in await dev.client.tools()] == ["say", "more"]

        (tmp_path / "beside.py").write_text("WORD = 'three'\n")
        await dev.until("changed: beside.py")


BROKEN = [
    ("def say(:\n", "{file}:1: invalid syntax: def say(:"),
    ("import os\n\nimport nowhere_at_all\n", "{file}:3: ModuleNotFoundError: No module named 'nowhere_at_all'"),
    (FIRST + "\ndef f():\n    1 / 0\nf()\n", "{file}:12: ZeroDivisionError: division by zero"),
    ("x = 1\n", '{file}: there is no server in it; write `server = Server("name")`'),
    (FIRST + "\nother = Server('b')\n", "there are several servers in it (server, other); say which, as in"),
    (FIRST.replace("say()", "say(x)"), "{file}:6: tool 'say': argument 'x' has no type hint"),
    ("raise SystemExit('enough')\n", "{file}:1: SystemExit: enough"),
]


async def test_a_broken_file_is_told_with_its_line_and_the_server_before_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "server.py"
    async with developing(file) as dev:
        await dev.until("started in")
        for text, said in BROKEN:
            await dev.save(text, "the one before goes on")
            assert any(said.format(file=file) in line for line in dev.said), dev.said
            assert await dev.text() == "one"
        await dev.save(FIRST.replace('"one"', '"well"'), "restarted in")
        assert await dev.text() == "well"


async def test_one_that_is_broken_from_the_start_waits_to_be_mended(tmp_path: Path) -> None:
    async with developing(tmp_path / "server.py", "1 +\n") as dev:
        await dev.until("fix it and save")
        assert any("server.py:1: invalid syntax" in line for line in dev.said)
        with pytest.raises(ServerError, match="it does not run"):
            await dev.text()
        await dev.save(FIRST, "started in")
        assert await dev.text() == "one"


async def test_a_call_that_is_open_stays_with_the_server_it_was_put_to(tmp_path: Path) -> None:
    slow = FIRST.replace(
        'return "one"',
        f'import time, pathlib\n    while not pathlib.Path({str(tmp_path / "go")!r}).exists():\n        time.sleep(0.01)\n    return "old"',
    )
    async with developing(tmp_path / "server.py", slow) as dev:
        await dev.until("started in")
        call = asyncio.create_task(dev.text())
        await dev.save(FIRST.replace('"one"', '"new"'), "restarted in")
        assert await dev.text() == "new"
        (tmp_path / "go").touch()
        assert await call == "old"


async def test_a_server_that_dies_is_started_again_for_the_next_call(tmp_path: Path) -> None:
    text = FIRST + "\n@server.tool()\ndef die() -> None:\n    import os\n    os._exit(3)\n"
    async with developing(tmp_path / "server.py", text) as dev:
        await dev.until("started in")
        with pytest.raises(ServerError, match="ended before it answered"):
            await dev.text("die")
        assert await asyncio.gather(*(dev.text() for _ in range(5))) == ["one"] * 5
        assert dev.said.count("it has ended; started again for a call") == 1


async def test_a_file_may_bear_the_name_of_a_module(tmp_path: Path) -> None:
    async with developing(tmp_path / "signal.py") as dev:
        await dev.until("started in")
        assert await dev.text() == "one"


REGION = '''
from typing import Annotated
from douane.sdk import Header

@server.tool()
def sell(region: Annotated[str, Header("Region")]) -> str:
    """Sell it."""
    return region
'''


async def test_it_is_served_at_a_port_too(tmp_path: Path) -> None:
    file = tmp_path / "server.py"
    file.write_text(FIRST + REGION)
    notes: list[str] = []
    process = await asyncio.create_subprocess_exec(
        DOUANE, "dev", str(file), "--http", "--port", "0", stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(BOUND_S):
            while "serving at" not in (line := (await process.stderr.readline()).decode()):
                assert line
        async with Client(line.split()[-1], on_note=lambda method, params: notes.append(method)) as client:
            assert (await client.call("say")).text == "one"
            # Refused for want of its header, which the client learns of then.
            assert (await client.call("sell", {"region": "eu"})).text == "eu"
            assert notes == ["notifications/tools/list_changed"]
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), BOUND_S) == 0
        await process.stderr.read()


async def test_a_file_that_is_not_there_is_an_error_of_the_command_line(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        DOUANE, "dev", str(tmp_path / "none.py"), stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), BOUND_S)
    assert (process.returncode, b"there is no such file" in said) == (2, True)


async def test_a_file_that_is_no_python_is_an_error_of_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Read me\n")
    process = await asyncio.create_subprocess_exec(
        DOUANE,
        "dev",
        str(tmp_path / "README.md"),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await asyncio.wait_for(process.communicate(), BOUND_S)
    assert (process.returncode, b"README.md: this is no Python file; its name ends in .py" in said) == (2, True)
