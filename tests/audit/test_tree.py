from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from douane.audit.tree import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    extends,
    includes,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
)

# The leaves of certificate-transparency's own tests.
STANDARD = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    bytes(range(0x60, 0x70)),
]
# Roots of the first 1 to 8 of them.
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def _recursion(hashes: list[bytes]) -> bytes:
    """RFC 6962 §2.1, word for word."""
    if not hashes:
        return EMPTY_ROOT
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return node_hash(_recursion(hashes[:split]), _recursion(hashes[split:]))


def _leaves(count: int) -> list[bytes]:
    return [leaf_hash(n.to_bytes(4, "big")) for n in range(count)]


def test_the_roots_of_the_reference_leaves_are_the_published_ones() -> None:
    frontier = Frontier()
    for leaf, root in zip(STANDARD, ROOTS, strict=True):
        frontier.append(leaf_hash(leaf))
        assert frontier.root().hex() == root


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert Frontier().root().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_frontier_equals_the_recursion() -> None:
    hashes = _leaves(1000)
    for size in [*range(70), 255, 256, 257, 1000]:
        assert root_of(hashes[:size]) == _recursion(hashes[:size])


@given(st.lists(st.integers(0, 300), max_size=8))
@settings(max_examples=60, deadline=None)
def test_a_tree_grown_in_batches_is_the_tree_grown_leaf_by_leaf(batches: list[int]) -> None:
    hashes = _leaves(sum(batches))
    grown, at = Frontier(), 0
    for batch in batches:
        grown.extend(hashes[at : at + batch])
        at += batch
        grown = Frontier.from_bytes(grown.to_bytes())
    assert grown.size == len(hashes)
    assert grown.root() == _recursion(hashes)


@given(st.integers(1, 80), st.data())
@settings(max_examples=150, deadline=None)
def test_a_proof_shows_its_leaf_and_no_other(size: int, data: st.DataObject) -> None:
    hashes = _leaves(size)
    index = data.draw(st.integers(0, size - 1))
    proof, root = inclusion_proof(hashes, index), root_of(hashes)
    assert includes(root, size, index, hashes[index], proof)
    assert not includes(root, size, index, leaf_hash(b"other"), proof)
    assert not includes(root, size, index, hashes[index], [*proof, root])
    assert not includes(root, size, index + size, hashes[index], proof)
    if proof:
        assert not includes(root, size, index, hashes[index], proof[:-1])


@given(st.integers(1, 80), st.data())
@settings(max_examples=150, deadline=None)
def test_a_consistency_proof_shows_that_a_tree_only_grew(size: int, data: st.DataObject) -> None:
    hashes = _leaves(size)
    old = data.draw(st.integers(1, size))
    proof = consistency_proof(hashes, old)
    assert extends(root_of(hashes[:old]), old, root_of(hashes), size, proof)
    forged = root_of([*hashes[: old - 1], leaf_hash(b"other")])
    assert not extends(forged, old, root_of(hashes), size, proof)
    assert not extends(root_of(hashes[:old]), old, root_of([*hashes[1:], hashes[0]]), size, proof) or size == 1
