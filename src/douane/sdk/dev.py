"""A server while it is written: started anew when its file changes, while its clients keep their line.

The new one is started beside the old one and takes over when it serves; one that does not start leaves the old one at
work. A call that is open stays with the server it was put to. What the file says differently is told.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from watchfiles import Change, PythonFilter, awatch

from .. import __version__
from ..flow.chain import Emit
from ..protocol.call import JSON, Call
from ..protocol.methods import KINDS, Kind
from ..protocol.outcome import Failed, Outcome
from ..protocol.param_headers import ParamHeader, mirrored
from ..transports.child import Command, SpawnFailed, spawn
from ..transports.link import Link
from ..transports.stdio import connect_stdio
from ..wire.codes import UPSTREAM_UNAVAILABLE
from ..wire.rpc import Limits
from .client import Client, ServerError
from .connect import CannotConnect, open_line
from .line_door import LineDoor
from .listener import About, Changed, Listener
from .serving import LOCAL, Http, serve_http, told_to_stop, until_over
from .session import Session

__all__ = ["Reloading", "Say", "develop"]

Say = Callable[[str], None]
"""Told, line by line, what happens; and what the server says on its standard error."""

_CLIENT = {"name": "douane-dev", "version": __version__}
_CALL_S = 3600.0
_LAST_CALLS_S = 10.0
_MANY_FILES = 3
_KIND_OF: dict[str, Kind] = {
    "notifications/tools/list_changed": "tools",
    "notifications/prompts/list_changed": "prompts",
    "notifications/resources/list_changed": "resources",
}
Lists = dict[Kind, dict[str, Any]]


async def develop(target: str, say: Say, *, at: Http | None = None) -> None:
    """Serve the server in `FILE[:NAME]` on our standard streams, or over HTTP, until told to stop.

    Raises ValueError or OSError for an address that cannot be served.
    """
    reloading = Reloading(target, say)
    with told_to_stop() as stop:
        watching = asyncio.create_task(_watch(reloading, say))
        # It ends only by a fault of its own, which ends all.
        watching.add_done_callback(lambda _: stop.done() or stop.set_result(None))
        try:
            if at is None:
                await _on_stdio(reloading, stop)
            else:
                async with serve_http(reloading.listener, at) as port:
                    say(f"serving at http://{at.host}:{port}/mcp")
                    await stop
        finally:
            watching.cancel()
            await asyncio.wait({watching})
            await reloading.aclose()
    if not watching.cancelled():
        watching.result()


async def _on_stdio(reloading: "Reloading", stop: "asyncio.Future[None]") -> None:
    await until_over(LineDoor(await connect_stdio(), reloading.listener, LOCAL, Limits(), owes=True), stop)


async def _watch(reloading: "Reloading", say: Say) -> None:
    # What is saved while the first one starts is not missed: loading and watching go on side by side.
    loading = asyncio.create_task(reloading.load())
    folder = reloading.file.parent
    try:
        async for changes in awatch(folder, watch_filter=PythonFilter(), debounce=200, step=50):
            await loading
            say(f"changed: {_named(changes, folder)}")
            loading = asyncio.create_task(reloading.load())
    finally:
        loading.cancel()
        await asyncio.wait({loading})


def _named(changes: set[tuple[Change, str]], root: Path) -> str:
    paths = sorted({os.path.relpath(path, root) for _, path in changes})
    more = len(paths) - _MANY_FILES
    return ", ".join(paths[:_MANY_FILES]) + (f" and {more} more" if more > 0 else "")


class Reloading:
    """A `Handler` and an `Offer`: the newest server that serves."""

    def __init__(self, target: str, say: Say) -> None:
        self._target, self._say = target, say
        self.file = Path(target.partition(":")[0]).absolute()
        self._current: _Running | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._why_not = "it is being started"
        self._first = asyncio.Event()
        self._loading = asyncio.Lock()
        self.on_change: list[Changed] = []
        about = About({"name": self.file.stem, "version": "0"})
        self.listener = Listener(self, self, about, self._settled)

    @property
    def capabilities(self) -> frozenset[str]:
        return self._current.session.welcome.abilities if self._current is not None else frozenset()

    def task_level(self, tool: str) -> str | None:
        # Which tools may is not said in the era that is spoken with the server; one that does not just answers.
        return "optional" if "tasks" in self.capabilities else None

    def mirrored(self, tool: str) -> Sequence[ParamHeader]:
        tools = {} if self._current is None else self._current.lists["tools"]
        return mirrored(tools[tool]) if tool in tools else ()

    async def __call__(self, call: Call, emit: Emit) -> Outcome:
        if self._current is not None and self._current.has_ended:
            await self._revive()
        if self._current is None:
            return Failed(UPSTREAM_UNAVAILABLE, f"server: it does not run: {self._why_not}", "no")
        return await self._current.call(call, emit)

    async def load(self) -> None:
        """Start the server as its file is now. Whatever is wrong with it is said, and the old one goes on."""
        async with self._loading:
            await self._load()

    async def _revive(self) -> None:
        async with self._loading:
            # Of many calls that found it dead, one starts it.
            if self._current is not None and self._current.has_ended:
                self._say("it has ended; started again for a call")
                await self._load()

    async def _load(self) -> None:
        began_s = time.monotonic()
        try:
            new = await _Running.start(self._target, self._say, self._noted)
        except (CannotConnect, ServerError) as exc:
            self._why_not = str(exc)
            if self._current is not None and self._current.has_ended:
                self._current = None
            self._say("it does not start" + ("; the one before goes on" if self._current else "; fix it and save"))
        else:
            self._take_over(new, time.monotonic() - began_s)
        finally:
            self._first.set()
            self.listener.ready()

    def _take_over(self, new: "_Running", took_s: float) -> None:
        old, self._current = self._current, new
        welcome = new.session.welcome
        self.listener.about = About(welcome.server, instructions=welcome.instructions)
        before: Lists = old.lists if old is not None else {kind: {} for kind in KINDS}
        differences = list(_differences(before, new.lists))
        self._say(
            f"{'started' if old is None else 'restarted'} in {took_s:.1f} s: {', '.join(differences) or 'as before'}"
        )
        if old is not None:
            task = asyncio.get_running_loop().create_task(old.retire())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        changed = frozenset[Kind](kind for kind in KINDS if before[kind] != new.lists[kind])
        if changed:
            self._tell(changed)

    async def aclose(self) -> None:
        if self._current is not None:
            await self._current.session.aclose()
        for task in tuple(self._closing):
            task.cancel()
        if self._closing:
            await asyncio.wait(tuple(self._closing))

    async def _settled(self) -> None:
        await self._first.wait()

    def _noted(self, method: str, params: JSON) -> None:
        if (kind := _KIND_OF.get(method)) is not None:
            self._tell(frozenset({kind}))

    def _tell(self, kinds: frozenset[Kind]) -> None:
        for tell in tuple(self.on_change):
            tell(kinds)


class _Running:
    """One server process."""

    def __init__(self, session: Session, lists: Lists) -> None:
        self.session, self.lists = session, lists
        self._open = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @staticmethod
    async def start(target: str, say: Say, noted: Callable[[str, JSON], None]) -> "_Running":
        """Raises CannotConnect, ServerError; then nothing of it is left."""
        command = Command((sys.executable, "-m", "douane.sdk.load", target), dict(os.environ))
        starts = 0

        async def link() -> Link:
            nonlocal starts
            starts += 1
            # A file that cannot be loaded is as broken the second time.
            if starts > 1:
                raise CannotConnect("it ended before it served")
            try:
                return await spawn(command, on_stderr=say)
            except SpawnFailed as exc:
                raise CannotConnect(str(exc)) from exc

        session = await open_line(link, client=_CLIENT, noted=noted, max_deadline_s=_CALL_S)
        try:
            client = Client(session)
            found = (await client.tools(), await client.prompts(), await client.resources(), await client.templates())
        except BaseException:
            await session.aclose()
            raise
        return _Running(session, {kind: _by_name(items) for kind, items in zip(KINDS, found, strict=True)})

    @property
    def has_ended(self) -> bool:
        return self.session.ended.done()

    async def call(self, call: Call, emit: Emit) -> Outcome:
        self._open += 1
        self._idle.clear()
        try:
            deadline_s = asyncio.get_running_loop().time() + _CALL_S
            return await self.session(replace(call, name=call.target, deadline_s=deadline_s), emit)
        finally:
            self._open -= 1
            if not self._open:
                self._idle.set()

    async def retire(self) -> None:
        """End it once its open calls have ended, or had their time."""
        try:
            async with asyncio.timeout(_LAST_CALLS_S):
                await self._idle.wait()
        except TimeoutError:
            pass
        finally:
            await self.session.aclose()


def _by_name(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {str(item.get("uriTemplate") or item.get("uri") or item["name"]): item for item in items}


_SHOWN: Mapping[Kind, str] = {
    "tools": "tool",
    "prompts": "prompt",
    "resources": "resource",
    "resourceTemplates": "template",
}


def _differences(before: Lists, now: Lists) -> Iterator[str]:
    for kind in KINDS:
        old, new = before[kind], now[kind]
        for name in (*old, *(name for name in new if name not in old)):
            if name not in new:
                yield f"- {_SHOWN[kind]} {name}"
            elif name not in old:
                yield f"+ {_SHOWN[kind]} {name}"
            elif old[name] != new[name]:
                yield f"~ {_SHOWN[kind]} {name} ({_members(old[name], new[name])})"


def _members(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    return ", ".join(sorted(key for key in {*old, *new} if old.get(key) != new.get(key)))
