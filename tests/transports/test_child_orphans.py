"""Nothing of a child survives, in every shape a child comes in: reliability case F17, goal G10."""

import asyncio
import json
import os
import shlex
import signal
import sys
from pathlib import Path

import psutil
import pytest
from census import MARK, marked, new_mark, nothing_left, until
from ear import Ear

from douane.transports.child import Command, env_for, spawn

HOSTILE = str(Path(__file__).parents[1] / "hostile" / "server.py")
SERVER = (sys.executable, "-I", "-S", HOSTILE)
SHAPES = {
    "plain": (SERVER, 2),
    "wrapper": (("sh", "-c", f"{shlex.join(SERVER)}; true"), 3),
    "setsid": ((*SERVER, "setsid"), 3),
    "daemon": ((*SERVER, "daemon"), 3),
    "deaf family": ((*SERVER, "deaf", "ignores-eof", "setsid", "daemon", "fork"), 5),
}
pytestmark = pytest.mark.slow
A_GATEWAY = """
import asyncio, json, sys
from douane.transports.child import Command, env_for, spawn

async def main():
    argv, mark = json.loads(sys.argv[1]), sys.argv[2]
    link = await spawn(Command(tuple(argv), env_for(extra={"DOUANE_TEST_MARK": mark})))
    link.start(lambda frame: print("ready", flush=True), lambda why: None)
    link.send(b'{"jsonrpc":"2.0","id":1,"method":"ping"}')
    await asyncio.Event().wait()

asyncio.run(main())
"""

shapes = pytest.mark.parametrize("shape", SHAPES)


@shapes
async def test_closing_leaves_nothing_of_the_family(shape: str) -> None:
    argv, members = SHAPES[shape]
    async with nothing_left() as mark:
        link = await spawn(Command(argv, env_for(extra={MARK: mark})), eof_grace_s=0.3, term_grace_s=0.3)
        await Ear(link).ask("ping")
        assert await until(lambda: len(marked(mark)) == members, 2.0), marked(mark)
        await link.aclose()
        assert marked(mark) == []


@shapes
async def test_the_death_of_the_first_process_takes_the_family_with_it(shape: str) -> None:
    argv, _ = SHAPES[shape]
    async with nothing_left() as mark:
        link = await spawn(Command(argv, env_for(extra={MARK: mark})))
        ear = Ear(link)
        await ear.ask("ping")
        os.kill(link.pid or 0, signal.SIGKILL)
        assert "SIGKILL" in await ear.end()
        assert await until(lambda: not marked(mark), 2.0)
        await link.aclose()


@shapes
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_death_of_the_gateway_leaves_nothing(shape: str, number: int) -> None:
    argv, members = SHAPES[shape]
    mark = new_mark()

    async def story() -> None:
        gateway = await asyncio.create_subprocess_exec(
            sys.executable, "-c", A_GATEWAY, json.dumps(argv), mark, stdout=asyncio.subprocess.PIPE
        )
        assert gateway.stdout is not None
        async with asyncio.timeout(10):
            assert await gateway.stdout.readline() == b"ready\n"
        assert await until(lambda: len(marked(mark)) == members, 2.0), marked(mark)
        gateway.send_signal(number)
        await gateway.wait()
        assert await until(lambda: not marked(mark), 2.0), marked(mark)

    asyncio.run(story())


@pytest.mark.parametrize("shape", ["plain", "wrapper"])
async def test_the_death_of_the_supervisor_takes_the_session_with_it(shape: str) -> None:
    argv, _ = SHAPES[shape]
    async with nothing_left() as mark:
        link = await spawn(Command(argv, env_for(extra={MARK: mark})))
        ear = Ear(link)
        await ear.ask("ping")
        psutil.Process(link.pid).parent().kill()  # pyright: ignore[reportOptionalMemberAccess]
        assert "supervisor was killed" in await ear.end()
        assert await until(lambda: not marked(mark), 2.0)
        await link.aclose()
        assert link.returncode is None
