"""The catalog: whole generations, one name for one thing, and what is missing by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from douane.registry.catalog import KINDS, Catalog, Item, Kind, digest_of
from douane.registry.marks import Marks


def item(upstream: str, name: str, kind: Kind = "tools", digest: str = "d", exposed: str = "") -> Item:
    return Item(kind, upstream, name, exposed or name, {"name": name}, digest)


def offer(catalog: Catalog, upstream: str, *items: Item) -> None:
    catalog.publish(upstream, items, frozenset({"tools"}))


def names(catalog: Catalog, kind: Kind = "tools") -> list[str]:
    return [found.exposed for found in catalog.items(kind)]


def test_what_is_published_is_listed_by_upstream_and_then_as_listed() -> None:
    catalog = Catalog()
    offer(catalog, "notes", item("notes", "z"), item("notes", "a"))
    offer(catalog, "files", item("files", "m"), item("files", "p", "prompts"))
    assert names(catalog) == ["m", "z", "a"]
    assert names(catalog, "prompts") == ["p"]
    assert catalog.find("tools", "z") == item("notes", "z")
    assert catalog.find("prompts", "z") is None


def test_a_new_offer_replaces_the_old_one_whole() -> None:
    catalog = Catalog()
    offer(catalog, "files", item("files", "a"), item("files", "b"))
    offer(catalog, "files", item("files", "b"))
    assert (names(catalog), catalog.find("tools", "a")) == (["b"], None)


def test_what_two_would_show_under_one_name_is_shown_by_both_under_names_of_their_own() -> None:
    catalog = Catalog()
    offer(catalog, "files", item("files", "read"), item("files", "own"))
    offer(catalog, "notes", item("notes", "read"))
    assert names(catalog) == ["read_93d67741", "own", "read_13ae734a"]
    assert catalog.find("tools", "read") is None
    found = catalog.find("tools", "read_13ae734a")
    assert found is not None
    assert (found.upstream, found.name, found.definition) == ("notes", "read", {"name": "read_13ae734a"})
    assert catalog.plain("tools", "read_13ae734a", "read") == "read"
    assert catalog.plain("tools", "own", "own") is None
    assert catalog.missing == {}


def test_a_name_stays_when_the_other_that_has_it_is_away_and_is_plain_again_when_nobody_has_it() -> None:
    catalog = Catalog()
    offer(catalog, "files", item("files", "read"))
    offer(catalog, "notes", item("notes", "read"))
    (mine, _) = names(catalog)
    catalog.withdraw("notes", "down: x")
    assert names(catalog) == [mine]
    offer(catalog, "notes", item("notes", "write"))
    assert names(catalog) == ["read", "write"]


def test_what_the_operator_named_keeps_its_name_and_the_others_give_way() -> None:
    catalog = Catalog()
    offer(catalog, "files", item("files", "read"))
    offer(catalog, "notes", replace(item("notes", "look", exposed="read"), pinned=True))
    assert names(catalog) == ["read_93d67741", "read"]
    found = catalog.find("tools", "read")
    assert found is not None
    assert found.upstream == "notes"


def test_who_takes_on_the_name_that_another_would_get_in_a_clash_gives_way_itself() -> None:
    catalog = Catalog()
    offer(catalog, "evil", item("evil", "read_13ae734a"))
    offer(catalog, "files", item("files", "read"))
    offer(catalog, "notes", item("notes", "read"))
    found = catalog.find("tools", "read_13ae734a")
    assert found is not None
    assert (found.upstream, len(names(catalog)), catalog.missing) == ("notes", 3, {})


def test_what_cannot_be_told_apart_is_shown_by_nobody_and_both_sources_are_named() -> None:
    catalog = Catalog()
    offer(catalog, "files", replace(item("files", "a", exposed="same"), pinned=True), item("files", "x"))
    offer(catalog, "notes", replace(item("notes", "b", exposed="same"), pinned=True))
    assert (names(catalog), catalog.find("tools", "same")) == (["x"], None)
    (reason,) = catalog.missing.values()
    assert reason.startswith("files (a) and notes (b) would both be shown so; the operator can set")


def test_what_a_server_lists_twice_is_not_shown() -> None:
    catalog = Catalog()
    offer(catalog, "files", item("files", "a"), item("files", "a", digest="other"), item("files", "b"))
    assert names(catalog) == ["b"]
    (reason,) = catalog.missing.values()
    assert reason == "files (a) is listed 2 times by its server, so which is meant cannot be told"


def test_a_uri_that_two_have_is_read_behind_the_name_of_each() -> None:
    catalog = Catalog()
    for upstream in ("files", "notes"):
        offer(
            catalog,
            upstream,
            item(upstream, "file:///a", "resources"),
            item(upstream, "file:///{p}", "resourceTemplates"),
        )
    offer(catalog, "third", item("third", "file:///b", "resources"))
    assert names(catalog, "resources") == ["douane+files:file:///a", "douane+notes:file:///a", "file:///b"]
    assert names(catalog, "resourceTemplates") == ["douane+files:file:///{p}", "douane+notes:file:///{p}"]
    by_uri = {uri: catalog.reader_of(uri) for uri in ("douane+notes:file:///a", "douane+notes:file:///c", "file:///b")}
    assert {uri: found.upstream for uri, found in by_uri.items() if found} == {
        "douane+notes:file:///a": "notes",
        "douane+notes:file:///c": "notes",
        "file:///b": "third",
    }
    assert (catalog.reader_of("file:///a"), catalog.reader_of("file:///c")) == (None, None)
    assert catalog.plain("resources", "douane+notes:file:///a", "file:///a") == "file:///a"
    assert catalog.plain("resources", "file:///b", "file:///b") is None
    assert catalog.readings("file:///a")[:2] == ["douane+files:file:///a", "douane+notes:file:///a"]
    assert catalog.readings("file:///b") == ["douane+files:file:///b", "douane+notes:file:///b"]


def test_a_tool_and_a_prompt_may_share_a_name() -> None:
    catalog = Catalog()
    offer(catalog, "files", item("files", "read"), item("files", "read", "prompts"))
    assert (names(catalog), names(catalog, "prompts"), dict(catalog.missing)) == (["read"], ["read"], {})


def test_an_upstream_that_withdraws_is_missing_with_its_reason_until_it_is_back() -> None:
    catalog = Catalog()
    offer(catalog, "files", item("files", "a"))
    catalog.withdraw("files", "down: no licence")
    assert (names(catalog), catalog.missing, catalog.capabilities) == ([], {"files": "down: no licence"}, frozenset())
    offer(catalog, "files", item("files", "a"))
    assert (names(catalog), catalog.missing, catalog.capabilities) == (["a"], {}, frozenset({"tools"}))


def test_only_lists_that_are_other_than_they_were_are_told_of_and_each_change_is_a_generation() -> None:
    catalog = Catalog()
    told: list[frozenset[Kind]] = []
    catalog.on_change.append(told.append)
    offer(catalog, "files", item("files", "a"), item("files", "p", "prompts"))
    offer(catalog, "files", item("files", "a"), item("files", "p", "prompts"))
    offer(catalog, "files", item("files", "a", digest="other"), item("files", "p", "prompts"))
    assert told == [frozenset({"tools", "prompts"}), frozenset({"tools"})]
    assert catalog.generation == 2
    catalog.withdraw("notes", "down")
    assert (catalog.generation, len(told)) == (3, 2)


@pytest.mark.parametrize(
    ("uri", "template"),
    [
        ("file:///a/b", "file:///{p}"),
        ("file:///notes/7", "file:///notes/{id}"),
        ("file:///notes/7/text", "file:///notes/{id}/text"),
        ("file:///notes/", "file:///{p}"),
        ("http://x/", None),
        ("file:///", None),
        ("", None),
    ],
)
def test_a_uri_is_served_by_the_template_with_the_longest_literal_start(uri: str, template: str | None) -> None:
    catalog = Catalog()
    templates = ("file:///{p}", "file:///notes/{id}/text", "file:///notes/{id}", "no-variable")
    offer(catalog, "files", *(item("files", t, "resourceTemplates") for t in templates))
    found = catalog.reader_of(uri)
    # Both of notes fit a text; the first listed of equal starts is taken.
    assert (found.name if found is not None else None) == template


def test_a_resource_goes_before_any_template() -> None:
    catalog = Catalog()
    offer(catalog, "files", item("files", "a:{x}", "resourceTemplates"), item("files", "a:b", "resources"))
    assert catalog.reader_of("a:b") == item("files", "a:b", "resources")


@given(st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=4), st.randoms())
def test_a_digest_does_not_depend_on_the_order_of_members_and_on_nothing_less(definition: dict, chance) -> None:  # type: ignore[no-untyped-def, type-arg]
    shuffled = list(definition.items())
    chance.shuffle(shuffled)
    assert digest_of(dict(shuffled)) == digest_of(definition)
    assert digest_of({"inner": dict(shuffled)}) == digest_of({"inner": definition})
    assert digest_of({**definition, "one more": 1}) != digest_of(definition)


OFFERS = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from("xyz")), unique=True, max_size=6),
)


@given(OFFERS)
def test_whatever_is_offered_each_is_found_under_one_name_of_its_own(offers: dict[str, list[tuple[Kind, str]]]) -> None:
    catalog = Catalog()
    for upstream, offered in offers.items():
        offer(catalog, upstream, *(item(upstream, name, kind) for kind, name in offered))
    for kind in KINDS:
        shown = catalog.items(kind)
        assert len(set(names(catalog, kind))) == len(shown)
        assert all(catalog.find(kind, one.exposed) is one for one in shown)
        wanted = [(upstream, name) for upstream, offered in sorted(offers.items()) for k, name in offered if k == kind]
        assert [(one.upstream, one.name) for one in shown] == wanted
    assert catalog.missing == {}


def test_only_what_the_operator_marked_reads() -> None:
    marks = Marks({"files": {"tools": ("read_*", "ls"), "prompts": ()}})
    assert marks.reads("tools", "files", "read_text")
    assert marks.reads("tools", "files", "ls")
    for kind, upstream, name in (
        ("tools", "files", "lsx"),
        ("tools", "files", "READ_x"),
        ("tools", "files", "write"),
        ("prompts", "files", "read_x"),
        ("resources", "files", "read_x"),
        ("tools", "notes", "read_x"),
    ):
        assert not marks.reads(kind, upstream, name)  # type: ignore[arg-type]
