"""Reading everything a server offers: every page, every list it declares, and never more than a bound."""

import asyncio
from typing import Any

import pytest
from peers import BOUND_S, Asked, Json, Server, answers, errors, tool

from douane.gateway.crawl import MAX_ITEMS, crawl
from douane.registry.catalog import Item, Kind, digest_of
from douane.registry.names import exposed
from douane.registry.naming import Naming
from douane.sdk.connect import CannotConnect, open_line

SUM_UP = exposed("files_", "sum up")


def item(kind: Kind, own: str, shown: str, definition: Json, original: Json) -> Item:
    return Item(kind, "files", own, shown, definition, digest_of(original), original)


async def crawled(server: Server) -> list[Item]:
    async with server:
        session = await open_line(server.open, client={}, noted=lambda *_: None, patience_s=0.02)
        try:
            deadline_s = asyncio.get_running_loop().time() + BOUND_S
            return await crawl(session, Naming("files", "files_"), deadline_s)
        finally:
            await session.aclose()


def paged(*pages: Json) -> Any:
    """Each page in turn, whatever the cursor; the last one for ever."""
    left = list(pages)
    return lambda asked: asked.answer(left.pop(0) if len(left) > 1 else left[0])


async def test_every_list_it_declares_is_read_and_shown_under_our_names() -> None:
    server = Server(
        tools=[tool("read")],
        prompts__list=answers({"prompts": [{"name": "sum up"}]}),
        resources__list=answers({"resources": [{"uri": "file:///a", "name": "a"}]}),
        resources__templates__list=answers({"resourceTemplates": [{"uriTemplate": "file:///{p}"}]}),
    )
    server.capabilities = {"tools": {}, "prompts": {}, "resources": {}}
    read, prompt, uri, template = (
        tool("read"),
        {"name": "sum up"},
        {"uri": "file:///a", "name": "a"},
        {"uriTemplate": "file:///{p}"},
    )
    assert await crawled(server) == [
        item("tools", "read", "files_read", {**read, "name": "files_read"}, read),
        item("prompts", "sum up", SUM_UP, {"name": SUM_UP}, prompt),
        item("resources", "file:///a", "file:///a", uri, uri),
        item("resourceTemplates", "file:///{p}", "file:///{p}", template, template),
    ]


async def test_a_list_it_does_not_declare_is_not_asked_for() -> None:
    server = Server()
    server.capabilities = {}
    assert await crawled(server) == []
    assert "tools/list" not in server.methods()


async def test_pages_are_followed_under_opaque_cursors_and_the_empty_string_is_one() -> None:
    server = Server(
        tools__list=paged(
            {"tools": [tool("a")], "nextCursor": ""}, {"tools": [tool("b")], "nextCursor": "x"}, {"tools": [tool("c")]}
        )
    )
    assert [item.name for item in await crawled(server)] == ["a", "b", "c"]
    asked = [a.params for a in server.heard if a.method == "tools/list"]
    assert asked == [{}, {"cursor": ""}, {"cursor": "x"}]


@pytest.mark.parametrize(
    ("hook", "reason"),
    [
        (errors(-32603, "database is gone"), r"tools/list failed: database is gone \(-32603\)"),
        (answers({}), "answered without a list of tools"),
        (answers({"tools": {}}), "answered without a list of tools"),
        (answers({"tools": [tool("a"), "b"]}), "lists something that is not an object"),
        (answers({"tools": [{"title": "x"}]}), "one of its tools has no name"),
        (answers({"tools": [{"name": ""}]}), "one of its tools has no name"),
        (answers({"tools": [{"name": 1}]}), "one of its tools has no name"),
        (answers({"tools": [], "nextCursor": "again"}), "more than 200 pages"),
        (
            answers({"tools": [tool(str(n)) for n in range(1000)], "nextCursor": "more"}),
            f"lists more than {MAX_ITEMS} items",
        ),
    ],
)
async def test_a_list_that_breaks_the_protocol_or_has_no_end_is_refused(hook: Any, reason: str) -> None:
    with pytest.raises(CannotConnect, match=reason):
        await crawled(Server(tools__list=hook))


async def test_a_list_that_it_declares_and_does_not_have_is_empty() -> None:
    assert await crawled(Server(tools__list=errors(-32601))) == []


async def test_what_the_newest_revision_dropped_is_not_shown_but_counts_for_the_digest() -> None:
    odd = tool("a", execution={"taskSupport": "optional"})
    (item,) = await crawled(Server(tools__list=answers({"tools": [odd]})))
    assert item.definition == tool("files_a")
    assert item.digest == digest_of(odd)


async def test_a_dead_server_ends_the_reading() -> None:
    def dies(asked: Asked) -> None:
        asked.die()

    with pytest.raises(Exception, match="closed by the peer"):
        await crawled(Server(tools__list=dies))
