from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from douane.audit.entry import MAX_LEAF_BYTES, Admin, Denied, Epoch, Intent, Leaf, Outcome, decode, encode, gist
from douane.audit.errors import LeafRefused

KINDS: list[type[Leaf]] = [Intent, Outcome, Epoch, Denied, Admin]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
COUNT = st.integers(0, 2**53)


def canonical(raw: bytes) -> bytes:
    """RFC 8785 for objects of ASCII names, strings and integers below 2^53: sorted, no spaces, shortest
    escapes."""
    return json.dumps(json.loads(raw), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _any_leaf(kind: type[Leaf]) -> st.SearchStrategy[Leaf]:
    fields = {
        field.name: (COUNT if field.type is int else TEXT)
        for field in msgspec.structs.fields(kind)
        if field.name not in ("kind", "status")
    }
    # What the log always fills in.
    fields |= {"t": TEXT.filter(bool), "v": st.integers(1, 9)}
    return st.builds(kind, **fields)


@given(st.one_of([_any_leaf(kind) for kind in KINDS]))
@settings(max_examples=300, deadline=None)
def test_the_bytes_of_a_leaf_are_canonical_and_give_the_leaf_back(leaf: Leaf) -> None:
    raw = encode(leaf)
    assert raw == canonical(raw)
    assert decode(raw) == leaf
    assert gist(raw).kind == leaf.kind


@pytest.mark.parametrize("kind", KINDS)
def test_fields_are_declared_in_sorted_order(kind: type[Leaf]) -> None:
    names = list(kind.__struct_fields__)
    assert names == sorted(names)
    assert all(name.isascii() for name in names)


def test_what_is_not_said_takes_no_room() -> None:
    assert encode(Intent(call="c1")) == b'{"call":"c1","kind":"intent"}'
    assert encode(Outcome(call="c1", status="ok")) == b'{"call":"c1","kind":"outcome","status":"ok"}'


def test_every_control_character_is_escaped_as_the_canonical_form_wants() -> None:
    raw = encode(Intent(call="".join(map(chr, [*range(32), 34, 92, 127, 0x2028, 0x1F6C3]))))
    assert raw == canonical(raw)


def test_a_leaf_over_the_limit_is_refused_and_one_at_it_is_not() -> None:
    fits = MAX_LEAF_BYTES - len(encode(Intent(call="")))
    assert len(encode(Intent(call="x" * fits))) == MAX_LEAF_BYTES
    with pytest.raises(LeafRefused, match="65535 are allowed"):
        encode(Intent(call="x" * (fits + 1)))


def test_text_that_is_none_is_refused() -> None:
    with pytest.raises(LeafRefused):
        encode(Intent(call="\ud800"))


def test_a_kind_of_later_versions_has_a_gist_but_no_form() -> None:
    raw = b'{"call":"c1","kind":"erase","log":"l","t":"2026-11-21T08:00:00.000Z","v":2}'
    assert gist(raw).call == "c1"
    with pytest.raises(msgspec.DecodeError, match="erase"):
        decode(raw)


def test_a_refusal_commits_to_the_question_and_an_answer_to_itself() -> None:
    refused, answered = Outcome(call="c", status="refused"), Outcome(call="c", status="ok")
    refused.commit("ab", 1)
    answered.commit("cd", 2)
    assert (refused.args_c, refused.res_c) == ("ab", "")
    assert (answered.args_c, answered.res_c) == ("", "cd")
