"""Joining the gateway of this machine, or starting it first: what `douane stdio`, `call` and `list` stand on.

A gateway started here lives on its own and stops some time after its last client has left. Two that start one at the
same moment start one: the second finds the data in use and joins the first.
"""

import asyncio
import shlex
import subprocess
import sys
from pathlib import Path

import msgspec

from .. import __version__
from ..sdk.client import Client
from ..sdk.connect import CannotConnect, open_line
from ..transports.link import Link, LinkClosed
from ..transports.stdio import connect_stdio
from ..transports.unix import SocketRefused, connect_unix
from ..wire import rpc
from .model import MAX_FRAME_BYTES
from .paths import Paths
from .serving import Serving, said

__all__ = ["CannotJoin", "ServesAnother", "bridge", "client", "joined"]

_IDLE_EXIT_S = 300.0
_START_S = 20.0
_LOOK_EVERY_S = 0.05
_LAST_ANSWERS_S = 60.0
_JUDGED = rpc.Limits(MAX_FRAME_BYTES, 256, 1_000_000)
"""Of what our own gateway sends: it has held it to its limits already."""


class CannotJoin(Exception):
    """No gateway runs, and none could be started. The text says why."""


class ServesAnother(CannotJoin):
    """The gateway that runs in this home has another configuration. The text says which, and what to do."""


async def joined(paths: Paths, config: Path | None, server: str | None = None) -> Link:
    """A line to the running gateway, or to a virtual server of it; it is started with `config` when there is none.

    Raises CannotJoin, ServesAnother when it runs with another configuration than `config`.
    """
    whole = await _whole(paths, config)
    if server is None:
        return whole
    await whole.aclose()
    try:
        return await connect_unix(str(paths.socket_of(server)), max_frame_bytes=MAX_FRAME_BYTES)
    except SocketRefused:
        serving = said(paths)
        known = ", ".join(serving.servers if serving is not None else ()) or "none"
        raise CannotJoin(
            f"the gateway that runs here has no virtual server {server!r} for you; it was started with: {known}"
        ) from None


async def _whole(paths: Paths, config: Path | None) -> Link:
    try:
        return await _connected(paths, config)
    except SocketRefused as exc:
        if config is None:
            raise CannotJoin(f"no gateway runs here, and there is no configuration to start one with: {exc}") from None
    return await _started(paths, config)


async def _connected(paths: Paths, config: Path | None) -> Link:
    """Raises SocketRefused, ServesAnother."""
    link = await connect_unix(str(paths.socket), max_frame_bytes=MAX_FRAME_BYTES)
    serving = said(paths)
    if config is None or (serving is not None and serving.is_of(config)):
        return link
    await link.aclose()
    raise ServesAnother(_told_apart(serving, paths, config))


def _told_apart(serving: Serving | None, paths: Paths, config: Path) -> str:
    runs, joins = "does not say which configuration it serves", ""
    if serving is not None:
        runs, joins = (
            f"serves {serving.config}",
            f"--config {shlex.quote(str(serving.config))} joins it; for the other, ",
        )
    return (
        f"the gateway that runs in this home {runs}, and {config.resolve()} was asked for. To go on: {joins}stop that"
        f" gateway first, or set DOUANE_HOME, so that each has a home of its own (this one's data: {paths.data_dir})"
    )


async def client(paths: Paths, config: Path | None, *, deadline_s: float, server: str | None = None) -> Client:
    """A client of the gateway of this machine, or of a virtual server of it. Raises CannotJoin."""
    me = {"name": "douane-cli", "version": __version__}
    try:
        session = await open_line(
            lambda: joined(paths, config, server), client=me, noted=lambda method, params: None, limits=_JUDGED
        )
    except CannotConnect as exc:
        raise CannotJoin(f"the gateway does not answer: {exc}") from exc
    return Client(session, deadline_s=deadline_s)


async def _started(paths: Paths, config: Path) -> Link:
    paths.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = paths.data_dir / "gateway.log"
    command = [sys.executable, "-m", "douane", "up", "--config", str(config), "--idle-exit-s", str(_IDLE_EXIT_S)]
    gateway = _detached(command, log)
    deadline_s = asyncio.get_running_loop().time() + _START_S
    while asyncio.get_running_loop().time() < deadline_s:
        try:
            return await _connected(paths, config)
        except SocketRefused:
            await asyncio.sleep(_LOOK_EVERY_S)
        # One that found the data in use has lost a race: the winner will listen in a moment.
        if gateway.poll() not in (None, 5):
            raise CannotJoin(f"the gateway ended at once (exit {gateway.returncode}):\n{_last_lines(log)}")
    raise CannotJoin(f"the gateway was started and does not listen on {paths.socket} after {_START_S:g} s; see {log}")


def _detached(command: list[str], log: Path) -> "subprocess.Popen[bytes]":
    with log.open("ab") as out:
        log.chmod(0o600)
        # It must outlive us: a session of its own, and nothing of our streams.
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)


def _last_lines(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-8:])


class _Withdrawn(msgspec.Struct):
    requestId: int | str | None = None


class _Glance(msgspec.Struct):
    """As much of a frame as tells a question, an answer, and the end of waiting for one."""

    id: int | str | None = None
    method: str | None = None
    params: msgspec.Raw = msgspec.Raw(b"{}")


_glance = msgspec.json.Decoder(_Glance).decode
_withdrawn = msgspec.json.Decoder(_Withdrawn).decode


async def bridge(paths: Paths, config: Path | None, server: str | None = None) -> None:
    """This process's stdio, joined to the gateway, until either side ends. Raises CannotJoin."""
    gateway = await joined(paths, config, server)
    serving = said(paths)
    own = await connect_stdio(max_frame_bytes=MAX_FRAME_BYTES if serving is None else serving.max_frame_bytes)
    pumping = _Pump(own, gateway)
    try:
        await pumping.run()
    finally:
        await own.aclose()
        await gateway.aclose()


class _Pump:
    """Frames from one link to the other, both ways. It knows what is owed, to give late answers their time."""

    def __init__(self, own: Link, gateway: Link) -> None:
        self._own, self._gateway = own, gateway
        self._owed: dict[int | str, None] = {}
        self._loop = asyncio.get_running_loop()
        self._own_ended: asyncio.Future[None] = self._loop.create_future()
        self._gateway_ended: asyncio.Future[None] = self._loop.create_future()
        self._paid = asyncio.Event()

    async def run(self) -> None:
        self._own.start(self._up, lambda _: _resolve(self._own_ended))
        self._gateway.start(self._down, lambda _: _resolve(self._gateway_ended))
        await asyncio.wait({self._own_ended, self._gateway_ended}, return_when=asyncio.FIRST_COMPLETED)
        if self._gateway_ended.done() or not self._owed:
            return
        # The client has said all it will (a pipe), and still wants its answers.
        paid = self._loop.create_task(self._paid.wait())
        await asyncio.wait({paid, self._gateway_ended}, timeout=_LAST_ANSWERS_S, return_when=asyncio.FIRST_COMPLETED)
        paid.cancel()

    def _up(self, frame: bytes) -> None:
        seen = _seen(frame)
        if seen is not None and seen.method is not None and seen.id is not None:
            self._owed[seen.id] = None
        elif seen is not None and seen.method == "notifications/cancelled":
            self._forgive(seen.params)
        _pass(self._gateway, frame)

    def _down(self, frame: bytes) -> None:
        _pass(self._own, frame)
        seen = _seen(frame)
        if seen is None or seen.method is not None:
            return
        if seen.id is not None:
            self._owed.pop(seen.id, None)
        elif self._owed:
            # The answer to a frame that could not be read names none: most likely it is the newest.
            self._owed.popitem()
        if not self._owed and self._own_ended.done():
            self._paid.set()

    def _forgive(self, params: msgspec.Raw) -> None:
        # A cancelled request is not answered any more.
        try:
            id_ = _withdrawn(params).requestId
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return
        if id_ is not None:
            self._owed.pop(id_, None)


def _seen(frame: bytes) -> _Glance | None:
    try:
        return _glance(frame)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _pass(link: Link, frame: bytes) -> None:
    try:
        link.send(frame)
    except LinkClosed:
        return


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
