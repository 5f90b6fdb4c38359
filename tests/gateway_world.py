"""A whole gateway as its users meet it: a real `douane up` in an empty home, before real or hostile upstreams.

Nothing here reaches into the gateway's objects. What it did is read where everybody can: on the wire (`gateway_clients`),
in the audit file, in /proc, and in its exit code.
"""

import asyncio
import json
import os
import re
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from douane.audit.entry import Intent, Outcome
from douane.audit.read import Entry, entries
from douane.config.evidence import Evidence, evidence
from douane.config.paths import paths_for

BOUND_S = 15.0
SOON_S = 5.0
"""For what must not wait for something that takes longer. A bound and no figure: those are the bench's."""
ORPHANS_S = 2.0
MARK = "DOUANE_TEST_MARK"
HERE = Path(__file__).parent
BIN = Path(sys.executable).parent

Upstream = dict[str, Any]


def hostile(*modes: str, **settings: Any) -> Upstream:
    """An upstream that is `tests/hostile/server.py` in these modes."""
    return _upstream([sys.executable, "-S", str(HERE / "hostile" / "server.py"), *modes], settings)


def witness(seen: Path, *modes: str, **settings: Any) -> Upstream:
    """An upstream that writes down every frame it gets; see `tests/witness.py`."""
    return _upstream([sys.executable, "-S", str(HERE / "witness.py"), str(seen), *modes], settings)


def real(name: str, *arguments: str, **settings: Any) -> Upstream:
    """An upstream that this project did not write, from the environment of the tests."""
    return _upstream([str(BIN / name), *arguments], settings)


def _upstream(command: list[str], settings: Mapping[str, Any]) -> Upstream:
    return {"command": command, "reads": {"tools": ["*"], "prompts": ["*"], "resources": ["*"]}, **settings}


async def until(fact: Callable[[], object], seconds: float = BOUND_S) -> bool:
    """Whether something outside this process, which sends no event, came true in time."""
    end_s = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > end_s:
            return False
        await asyncio.sleep(0.01)
    return True


class World:
    """One home: its configuration, its audit, and every process that was started in it."""

    def __init__(self, home: Path, upstreams: Mapping[str, Upstream], **config: Any) -> None:
        self.home, self.mark = home, uuid.uuid4().hex
        self.config = home / "douane.yaml"
        home.mkdir(parents=True, exist_ok=True)
        mine = {MARK: self.mark}
        marked = {n: u | {"env": u.get("env", {}) | mine} if "command" in u else u for n, u in upstreams.items()}
        # JSON is YAML.
        self.config.write_text(json.dumps({"upstreams": marked, **config}))
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "DOUANE_HOME": str(home),
            "TMPDIR": str(home),
            MARK: self.mark,
        }
        if "PYTHONPATH" in os.environ:
            # The tests themselves are run on another copy of the source.
            self.env["PYTHONPATH"] = os.environ["PYTHONPATH"]
        self.paths = paths_for(self.env)

    @property
    def token(self) -> str:
        return self.paths.token.read_text().strip()

    async def run(self, *arguments: str, typed: str | None = None, **env: str) -> "Ran":
        """One `douane` command to its end. `typed`: what it reads."""
        process = await asyncio.create_subprocess_exec(
            BIN / "douane",
            *arguments,
            env=self.env | env,
            cwd=self.home,
            stdin=asyncio.subprocess.DEVNULL if typed is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(BOUND_S):
            out, err = await process.communicate(None if typed is None else typed.encode())
        assert process.returncode is not None
        return Ran(process.returncode, out.decode(), err.decode())

    async def up(self, *arguments: str, **env: str) -> "Gateway":
        """A gateway that says it is ready. It belongs to the caller; see `gateway`."""
        process = await asyncio.create_subprocess_exec(
            BIN / "douane",
            *("up", "--config", str(self.config), "--port", "0", *arguments),
            env=self.env | env,
            cwd=self.home,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        gateway = Gateway(self, process)
        await gateway.doors_open()
        return gateway

    def processes(self) -> list[str]:
        """The processes, alive and no zombies, that carry this world's mark in their environment."""
        found: list[str] = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(f"{process.pid} {' '.join(process.cmdline())}")
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
        return found

    async def empty(self, seconds: float = ORPHANS_S) -> bool:
        """Whether no process of this world is left in time."""
        return await until(lambda: not self.processes(), seconds)

    def evidence(self) -> AbstractContextManager[Evidence]:
        """Its audit log, for reading."""
        return evidence(self.paths)

    def audit(self) -> list[Entry]:
        with self.evidence() as log:
            return list(entries(log.reading))

    def calls(self) -> dict[str, "Recorded"]:
        """What the audit says of each call, by our id of it."""
        calls: dict[str, Recorded] = {}
        for entry in self.audit():
            if isinstance(entry.leaf, Intent):
                calls.setdefault(entry.leaf.call, Recorded()).intents.append(entry)
            elif isinstance(entry.leaf, Outcome):
                calls.setdefault(entry.leaf.call, Recorded()).outcomes.append(entry.leaf)
        return calls

    async def verified(self) -> dict[str, Any]:
        """What `douane audit verify --json` says."""
        return json.loads((await self.run("audit", "verify", "--json")).out)


class Ran:
    """A command that has ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


class Recorded:
    """The leaves of one call."""

    def __init__(self) -> None:
        self.intents: list[Entry] = []
        self.outcomes: list[Outcome] = []

    @property
    def arguments(self) -> Any:
        """As kept beside the intent."""
        payload = self.intents[0].payload if self.intents else None
        return json.loads(payload).get("arguments") if payload else None


class Gateway:
    """A running `douane up`."""

    def __init__(self, world: World, process: asyncio.subprocess.Process) -> None:
        self.world, self.process = world, process
        self.began_s = time.monotonic()
        self.log: list[str] = []
        self.port = 0
        self._doors = asyncio.Event()
        self._logging = asyncio.create_task(self._read_log())

    @property
    def token(self) -> str:
        return self.world.token

    async def doors_open(self) -> None:
        try:
            async with asyncio.timeout(BOUND_S):
                await self._doors.wait()
        except TimeoutError:
            await self.kill()
            raise AssertionError("the gateway did not say that it is ready:\n" + "\n".join(self.log)) from None
        assert self.port, "the gateway ended at once:\n" + "\n".join(self.log)

    async def _read_log(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.log.append(line.decode("utf-8", "replace").rstrip())
            found = re.search(r"ready at https?://[^:]+:(\d+)/mcp", self.log[-1])
            if found is not None:
                self.port = int(found[1])
                self._doors.set()
        self._doors.set()

    def complaints(self) -> list[str]:
        """Tracebacks of its own; what its upstreams print is theirs."""
        own = (line for line in self.log if '"douane.upstream.' not in line)
        return [line for line in own if "Traceback" in line or "never retrieved" in line]

    async def kill(self) -> None:
        """SIGKILL, and seen dead."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
        await self.ended()

    async def stop(self) -> int:
        """SIGTERM, and the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self) -> int:
        """The exit code of a process that is ending."""
        async with asyncio.timeout(BOUND_S):
            code = await self.process.wait()
            await self._logging
        return code


@asynccontextmanager
async def gateway(home: Path, upstreams: Mapping[str, Upstream], **config: Any) -> AsyncIterator[Gateway]:
    """A gateway of its own world. Afterwards: it ended well if it was still there, and nothing of it is left.

    `environment` among the settings is for the process, not for the file.
    """
    environment = config.pop("environment", {})
    world = World(home, upstreams, **config)
    running = await world.up(**environment)
    try:
        yield running
        if running.process.returncode is None:
            code = await running.stop()
            assert code == 0, running.log[-20:]
        assert await world.empty(), world.processes()
        assert running.complaints() == []
    finally:
        await running.kill()
