from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from douane.audit.payload import (
    NO_PAYLOAD,
    Salts,
    opens,
    unpacked_entries,
    unpacked_payloads,
)

from .kit import packed_entries, packed_payload

PAYLOAD = st.none() | st.tuples(st.binary(min_size=32, max_size=32), st.binary(max_size=80))


@given(st.lists(st.binary(max_size=5000), max_size=5))
def test_a_commitment_is_the_hash_of_salt_and_body(bodies: list[bytes]) -> None:
    salts = Salts()
    for body in bodies:
        salt, commitment = salts.commit(body)
        assert len(salt) == 32
        assert commitment == hashlib.sha256(salt + body).hexdigest()
        assert opens(salt, body, commitment, 2)
        assert not opens(salt, body + b" ", commitment, 2)
        assert not opens(salt, body, commitment, 1)


def test_what_a_leaf_of_version_1_committed_to_can_still_be_shown() -> None:
    salt, body = b"s" * 32, b"body"
    commitment = hmac.digest(salt, body, "sha256").hex()
    assert opens(salt, body, commitment, 1)
    assert not opens(salt, body, commitment, 2)


def test_no_salt_is_given_twice() -> None:
    salts = Salts()
    assert len({salts.commit(b"")[0] for _ in range(1000)}) == 1000


@given(st.lists(st.binary(max_size=300), max_size=6))
def test_entries_come_back(leaves: list[bytes]) -> None:
    assert list(unpacked_entries(packed_entries(leaves))) == leaves


@given(st.lists(PAYLOAD, max_size=6))
def test_payloads_come_back(payloads: list[tuple[bytes, bytes] | None]) -> None:
    assert list(unpacked_payloads(b"".join(packed_payload(*p) if p else NO_PAYLOAD for p in payloads))) == payloads


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=4), st.data())
def test_a_bundle_cut_short_is_refused_after_what_could_be_read(leaves: list[bytes], data: st.DataObject) -> None:
    raw = packed_entries(leaves)
    cut = data.draw(st.integers(1, len(leaves[-1]) + 1))
    read: list[bytes] = []
    with pytest.raises(ValueError, match="entry"):
        read.extend(unpacked_entries(raw[:-cut]))
    assert read == leaves[:-1]
    with pytest.raises(ValueError, match="payload"):
        list(unpacked_payloads(packed_payload(b"s" * 32, b"body")[:-1]))


def test_bytes_that_are_no_payloads_are_refused() -> None:
    for raw in (b"\0\0\0", b"\0\0\0\x01x", b"\xff\xff\xff\xff"):
        with pytest.raises(ValueError, match="payload"):
            list(unpacked_payloads(raw))
