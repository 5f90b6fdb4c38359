"""The catalog: whole generations, one name for one thing, and what is missing by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from douane.registry.catalog import KINDS, Catalog, Item, Kind, digest_of
from douane.registry.marks import Marks


def item(upstream: str, name: str, kind: Kind = "tools", digest: str = "d") -> Item:
    return Item(kind, upstream, name, name, {"name": name}, digest)


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


def test_what_two_would_show_under_one_name_is_shown_by_neither_until_one_gives_way() -> None:
    catalog = Catalog()
    offer(catalog, "files", item("files", "read"), item("files", "own"))
    offer(catalog, "notes", item("notes", "read"))
    assert (names(catalog), catalog.find("tools", "read")) == (["own"], None)
    assert catalog.missing == {"read": "two upstreams show this name; the operator can set another prefix"}
    catalog.withdraw("notes", "down: x")
    assert names(catalog) == ["read", "own"]
    assert catalog.missing == {"notes": "down: x"}


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
def test_whatever_is_offered_each_name_is_shown_once_or_is_missing(offers: dict[str, list[tuple[Kind, str]]]) -> None:
    catalog = Catalog()
    for upstream, offered in offers.items():
        offer(catalog, upstream, *(item(upstream, name, kind) for kind, name in offered))
    for kind in KINDS:
        shown = names(catalog, kind)
        assert len(set(shown)) == len(shown)
        for name in "xyz":
            times = sum((kind, name) in offered for offered in offers.values())
            assert (name in shown, catalog.find(kind, name) is not None) == (times == 1, times == 1)
            assert times < 2 or name in catalog.missing


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
