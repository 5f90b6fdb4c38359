"""The lists a caller sees: in pages, under cursors of ours, and honest about what is missing."""

import base64
import json
from typing import Any

import pytest
from peers import Ears, call

from douane.gateway.view import View
from douane.protocol.outcome import Complete, Outcome, Refused
from douane.registry.catalog import Catalog, Item
from douane.registry.naming import Naming, Override
from douane.registry.selection import Selection


def catalog(*names: str) -> Catalog:
    made = Catalog()
    offer(made, "files", *names)
    return made


def offer(to: Catalog, upstream: str, *names: str) -> None:
    items = [Item("tools", upstream, name, name, {"name": name}, "d") for name in names]
    to.publish(upstream, items, frozenset({"tools"}))


async def page(view: View, cursor: object = None, method: str = "tools/list") -> Outcome:
    asked = call(method, {} if cursor is None else {"cursor": cursor})
    return await view(asked, Ears(asked).emit)


async def result(view: View, cursor: object = None, method: str = "tools/list") -> dict[str, Any]:
    outcome = await page(view, cursor, method)
    assert isinstance(outcome, Complete)
    assert outcome.encoded is not None
    assert json.loads(outcome.encoded) == outcome.result
    return dict(outcome.result)


async def test_a_list_is_whole_and_private_and_may_be_kept_a_little() -> None:
    view = View(catalog("a", "b"), ttl_ms=5_000)
    assert await result(view) == {
        "resultType": "complete",
        "tools": [{"name": "a"}, {"name": "b"}],
        "ttlMs": 5_000,
        "cacheScope": "private",
    }
    assert await result(view, method="prompts/list") == {
        "resultType": "complete",
        "prompts": [],
        "ttlMs": 5_000,
        "cacheScope": "private",
    }


async def test_pages_follow_each_other_without_gap_or_repetition() -> None:
    view = View(catalog(*"abcde"), page_items=2)
    got: list[str] = []
    cursor: object = None
    for _ in range(3):
        one = await result(view, cursor)
        got += [item["name"] for item in one["tools"]]
        cursor = one.get("nextCursor")
    assert (got, cursor) == (list("abcde"), None)


async def test_the_last_page_is_not_followed_by_an_empty_one() -> None:
    view = View(catalog(*"abcd"), page_items=2)
    second = await result(view, (await result(view))["nextCursor"])
    assert "nextCursor" not in second


async def test_the_same_page_is_the_same_bytes_until_the_catalog_changes() -> None:
    of = catalog("a")
    view = View(of)
    assert await page(view) is await page(view)
    offer(of, "notes", "n")
    assert [item["name"] for item in (await result(view))["tools"]] == ["a", "n"]


async def test_a_list_that_was_read_again_and_is_the_same_goes_on_where_it_was() -> None:
    of = catalog(*"abcd")
    view = View(of, page_items=2)
    first = await page(view)
    cursor = (await result(view))["nextCursor"]
    offer(of, "files", *"abcd")
    assert await page(view) is first
    assert [item["name"] for item in (await result(view, cursor))["tools"]] == ["c", "d"]


async def test_a_list_that_changed_between_two_pages_is_said_to_have_changed() -> None:
    of = catalog(*"abcd")
    view = View(of, page_items=2)
    cursor = (await result(view))["nextCursor"]
    offer(of, "files", *"bcde")
    refused = await page(view, cursor)
    assert refused == Refused(-32602, "client: the cursor is not of this list, or the list changed; list again")


FORGED = [
    b"1:0",
    b"1:-2",
    b"1:1",
    b"1:3",
    b"1:4",
    b"1:2000",
    b"1: 2",
    b"1:0_2",
    b"1:+2",
    b"1:",
    b":2",
    b"2:2",
    b"1:2:2",
]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        7,
        [],
        {},
        True,
        "AAAA",
        "MToy\n",
        *(base64.b64encode(c).decode() for c in [*FORGED, b"1:" + b"9" * 5000]),
    ],
)
async def test_a_cursor_that_is_not_ours_is_refused(cursor: object) -> None:
    view = View(catalog(*"abcd"), page_items=2)
    await result(view)
    assert isinstance(await page(view, cursor), Refused)


async def test_what_is_missing_is_named_and_then_nobody_keeps_the_list() -> None:
    of = catalog("a")
    of.withdraw("notes", "down: no licence")
    assert await result(View(of)) == {
        "resultType": "complete",
        "tools": [{"name": "a"}],
        "_meta": {"douane/missing": [{"name": "notes", "reason": "down: no licence"}]},
        "ttlMs": 0,
        "cacheScope": "private",
    }


async def test_originals_are_for_whom_they_are_meant_and_only_when_asked_for() -> None:
    naming = Naming("git", "git_", {"tools": {"log": Override("history"), "reset": Override(hide=True)}})
    of = Catalog()
    own = {name: {"name": name, "_meta": {"own": 1}} for name in ("log", "reset")}
    of.publish("git", [naming.item("tools", name, one, one) for name, one in own.items()], frozenset({"tools"}))
    asked = call("tools/list", {"_meta": {"douane/original": True}})
    for_all, for_some = View(of), View(of, sees_originals=lambda principal: principal == asked.principal)
    plain = (await result(for_all))["tools"]
    assert plain == [{"name": "history", "_meta": {"own": 1}}]
    for view, request in (
        (for_all, asked),
        (for_some, call("tools/list", {})),
        (for_some, call("tools/list", _TRUTHY)),
    ):
        outcome = await view(request, Ears(request).emit)
        assert isinstance(outcome, Complete)
        assert (outcome.result["tools"], "_meta" in outcome.result) == (plain, False)
    outcome = await for_some(asked, Ears(asked).emit)
    assert isinstance(outcome, Complete)
    original = {"upstream": "git", "name": "log", "definition": own["log"]}
    assert outcome.result["tools"] == [{"name": "history", "_meta": {"own": 1, "douane/original": original}}]
    assert [one["name"] for one in outcome.result["_meta"]["douane/hidden"]] == ["reset"]


_TRUTHY = {"_meta": {"douane/original": 1}}


async def test_pages_of_a_selection_are_its_own() -> None:
    of = Catalog()
    few = of.select(Selection({"files": {"tools": ("a", "c", "e")}}))
    offer(of, "files", *"abcde")
    view, whole = View(few, page_items=2), View(of, page_items=2)
    first = await result(view)
    assert [item["name"] for item in first["tools"]] == ["a", "c"]
    assert [item["name"] for item in (await result(view, first["nextCursor"]))["tools"]] == ["e"]
    # A change that it does not see leaves its pages, and its cursors, as they are.
    offer(of, "notes", "n")
    assert await page(view) == await page(view)
    assert [item["name"] for item in (await result(view, first["nextCursor"]))["tools"]] == ["e"]
    assert "n" in str([await result(whole, cursor) for cursor in [None, *await cursors(whole)]])


async def cursors(view: View) -> list[str]:
    found: list[str] = []
    cursor: object = None
    while isinstance(cursor := (await result(view, cursor)).get("nextCursor"), str):
        found.append(cursor)
    return found
