"""A client that keeps what it may: for as long as the server says, and until it is told that something has changed."""

import asyncio

from peers import BOUND_S, Asked, Json, Server

from douane.sdk import Client
from douane.sdk import Server as Serving
from douane.sdk.connect import open_line
from douane.sdk.kept import Kept, ttl_ms_of

TOOLS: Json = {"resultType": "complete", "tools": [], "cacheScope": "private"}


class Counted:
    """A server that counts how often its resource is read."""

    def __init__(self, ttl_s: float) -> None:
        self.reads = 0
        self.server = Serving("counted")
        self.server.resource("x://a", ttl_s=ttl_s)(self.read)
        self.server.tool("tool")(lambda: "a")

    def read(self) -> str:
        self.reads += 1
        return str(self.reads)


async def test_what_may_be_kept_is_asked_for_once_until_it_changes() -> None:
    at = Counted(60.0)
    async with Client(at.server, cache=True) as client:
        await client.subscribe("x://a")
        changes = client.changes()
        for _ in range(3):
            assert (await client.read("x://a"))[0]["text"] == "1"
        at.server.updated("x://a")
        await asyncio.wait_for(anext(changes), BOUND_S)
        assert (await client.read("x://a"))[0]["text"] == "2"
        assert [tool["name"] for tool in await client.tools()] == ["tool"]
        at.server.tool("more")(lambda: "b")
        await asyncio.wait_for(anext(changes), BOUND_S)
        assert [tool["name"] for tool in await client.tools()] == ["tool", "more"]
    assert at.reads == 2


async def test_what_may_not_be_kept_is_asked_for_each_time_and_so_is_all_of_who_keeps_nothing() -> None:
    for ttl_s, cache in ((0.0, True), (60.0, False)):
        at = Counted(ttl_s)
        async with Client(at.server, cache=cache) as client:
            for _ in range(2):
                await client.read("x://a")
        assert at.reads == 2


async def test_what_was_kept_is_not_what_the_caller_changes() -> None:
    at = Counted(60.0)
    async with Client(at.server, cache=True) as client:
        (await client.read("x://a")).clear()
        (await client.tools()).clear()
        assert (len(await client.read("x://a")), len(await client.tools())) == (1, 1)


async def test_a_list_is_kept_as_long_as_the_page_that_is_kept_the_shortest() -> None:
    def hook(asked: Asked) -> None:
        first = "cursor" not in asked.params
        asked.answer({**TOOLS, "ttlMs": 60_000 if first else 0, **({"nextCursor": ""} if first else {})})

    async with Server("stateless", tools__list=hook) as server:
        session = await open_line(server.open, client={"name": "t"}, noted=lambda method, params: None)
        async with Client(session, cache=True) as client:
            for _ in range(2):
                await client.tools()
        assert server.methods().count("tools/list") == 4


def test_everything_kept_has_an_end() -> None:
    now_s = 0.0
    kept = Kept(lambda: now_s)
    kept.put(("resources/read", "a"), "a", 1_000, kept.asking())
    kept.put(("resources/read", "b"), "b", 0, kept.asking())
    assert (kept.get(("resources/read", "a")), kept.get(("resources/read", "b"))) == ("a", None)
    now_s = 1.0
    assert (kept.get(("resources/read", "a")), len(kept)) == (None, 0)
    for number in range(1_000):
        kept.put(("resources/read", str(number)), number, 1_000, kept.asking())
    assert len(kept) == 256


def test_what_was_asked_for_before_a_change_was_told_is_not_kept() -> None:
    kept = Kept(lambda: 0.0)
    asked = kept.asking()
    kept.hear("notifications/resources/updated", {"uri": "x://a/b"})
    kept.put(("resources/read", "x://a/b"), "of before", 1_000, asked)
    kept.put(("resources/read", "x://a"), "above", 1_000, kept.asking())
    kept.put(("resources/read", "x://c"), "beside", 1_000, kept.asking())
    kept.hear("notifications/resources/updated", {"uri": "x://a/b"})
    assert [kept.get(("resources/read", f"x://{uri}")) for uri in ("a/b", "a", "c")] == [None, None, "beside"]


def test_a_time_that_is_none_keeps_nothing() -> None:
    day_ms = 24 * 3600 * 1000
    given = (5, 0, -1, 1.5, True, "5", None, 10**30)
    assert [ttl_ms_of({"ttlMs": ttl}) for ttl in given] == [5, 0, 0, 0, 0, 0, 0, day_ms]
