"""What is watched at an upstream outlives its sessions; what one did not tell counts as updated."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace
from peers import BOUND_S, Asked, Ears, Server, Speaks, call

from douane.gateway.upstream import Upstream
from douane.protocol.outcome import Complete, Failed, Outcome

from .test_upstream import TIMES, House

HAS = {"tools": {}, "resources": {"subscribe": True}}
ERAS: tuple[Speaks, ...] = ("handshake", "stateless")


def grant(asked: Asked) -> None:
    meta = {"io.modelcontextprotocol/subscriptionId": asked.id}
    params = {"notifications": asked.params["notifications"], "_meta": meta}
    asked.note("notifications/subscriptions/acknowledged", params)


class Told:
    def __init__(self, upstream: Upstream) -> None:
        self._told: asyncio.Queue[str] = asyncio.Queue()
        upstream.updated = lambda name, uri: self._told.put_nowait(f"{name} {uri}")

    async def next(self) -> str:
        return await asyncio.wait_for(self._told.get(), BOUND_S)

    @property
    def more(self) -> bool:
        return not self._told.empty()


@asynccontextmanager
async def house(speaks: Speaks, *, stops_when_idle: bool = False) -> AsyncGenerator[tuple[House, Told]]:
    server = Server(speaks)
    server.capabilities = HAS
    lists = {"resources": []}, {"resourceTemplates": []}
    for method, listed in zip(("resources/list", "resources/templates/list"), lists, strict=True):
        server.on[method] = lambda asked, listed=listed: asked.answer({"resultType": "complete", **listed})
    server.on["resources/subscribe"] = server.on["resources/unsubscribe"] = lambda asked: asked.answer({})
    server.on["subscriptions/listen"] = grant
    async with server:
        at = House(server, replace(TIMES, idle_stop_s=0.05), stops_when_idle)
        told = Told(at.upstream)
        await asyncio.wait_for(at.upstream.start(), BOUND_S)
        try:
            yield at, told
        finally:
            await at.upstream.aclose()


async def subscribe(at: House, uri: str) -> Outcome:
    asked = call("resources/subscribe", {"uri": uri, "name": uri}, upstream="files")
    return await asyncio.wait_for(at.upstream.subscribe(asked, Ears(asked).emit), BOUND_S)


def asked_for(server: Server) -> list[str]:
    """Each time the server was asked to tell of something, of what."""
    found: list[str] = []
    for asked in server.heard:
        if asked.method == "resources/subscribe":
            found.append(asked.params["uri"])
        elif asked.method == "subscriptions/listen":
            found.append(" ".join(asked.params["notifications"].get("resourceSubscriptions", ())))
    return found


@pytest.mark.parametrize("speaks", ERAS)
async def test_a_new_session_is_asked_again_and_what_is_watched_counts_as_updated_once(speaks: Speaks) -> None:
    async with house(speaks) as (at, told):
        for _ in range(2):
            assert isinstance(await subscribe(at, "x://a"), Complete)
        assert asked_for(at.server) == ["x://a"]
        at.server.drop()
        assert await told.next() == "files x://a"
        assert asked_for(at.server) == ["x://a", "x://a"]
        assert (at.starts, told.more) == (2, False)


@pytest.mark.parametrize("speaks", ERAS)
async def test_an_upstream_that_somebody_listens_to_is_not_idle(speaks: Speaks) -> None:
    async with house(speaks, stops_when_idle=True) as (at, _):
        await subscribe(at, "x://a")
        await asyncio.wait({asyncio.ensure_future(at.server.when(lambda: not at.server.open_lines))}, timeout=0.3)
        assert at.upstream.state == "up"
        at.upstream.watched.drop("x://a")
        await at.server.when(lambda: not at.server.open_lines)
        assert at.upstream.state == "asleep"


async def test_what_a_new_version_of_a_server_does_not_tell_of_any_more_is_told_of_once_and_forgotten() -> None:
    async with house("handshake") as (at, told):
        await subscribe(at, "x://a")
        at.server.on["resources/subscribe"] = lambda asked: asked.error(-32002, "gone")
        at.server.drop()
        assert await told.next() == "files x://a"
        assert "x://a" not in at.upstream.watched
        failed = await subscribe(at, "x://a")
        assert isinstance(failed, Failed)
        assert (failed.code, failed.message, failed.data) == (-32602, "upstream files: gone", {"uri": "x://a"})


async def test_a_server_that_does_not_tell_is_not_asked() -> None:
    async with house("handshake") as (at, _):
        at.server.capabilities = {"tools": {}, "resources": {}}
        at.server.drop()
        await at.server.when(lambda: at.server.lines == 2)
        failed = await subscribe(at, "x://a")
        assert isinstance(failed, Failed)
        assert (failed.code, failed.sent) == (-32601, "no")
        assert asked_for(at.server) == []
