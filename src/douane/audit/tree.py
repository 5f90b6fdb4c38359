"""The Merkle tree of RFC 6962: hashing, a frontier to grow it, proofs. Pure; hashes are 32 raw bytes.

`Frontier` keeps the log2(n) roots of the full subtrees, which is all that growing and the root need. Proofs
are computed from the leaf hashes themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """*Spec:* RFC 6962 §2.1. The prefix keeps a node from passing as a leaf."""
    return sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()


class Frontier:
    """A tree that only grows: its size and, largest first, the roots of its full subtrees."""

    __slots__ = ("_peaks", "size")

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[tuple[int, bytes]] = []

    def copy(self) -> Frontier:
        twin = Frontier()
        twin.size = self.size
        twin._peaks = self._peaks.copy()
        return twin

    def append(self, hashed: bytes) -> None:
        self.extend([hashed])

    def extend(self, hashes: Sequence[bytes]) -> None:
        """Add leaf hashes in order: the longest aligned runs first, each merged pairwise, level by level."""
        at, count = 0, len(hashes)
        while at < count:
            height = (count - at).bit_length() - 1
            if self.size:
                height = min(height, (self.size & -self.size).bit_length() - 1)
            self._push(height, _merged(hashes[at : at + (1 << height)]))
            at += 1 << height

    def root(self) -> bytes:
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1][1]
        for _, peak in reversed(self._peaks[:-1]):
            root = sha256(b"\1" + peak + root).digest()
        return root

    def to_bytes(self) -> bytes:
        """u64 size, then the peaks."""
        return self.size.to_bytes(8, "big") + b"".join(peak for _, peak in self._peaks)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Frontier:
        """Raises ValueError when `raw` is no frontier."""
        self = cls()
        self.size = int.from_bytes(raw[:8], "big")
        heights = [h for h in range(self.size.bit_length() - 1, -1, -1) if self.size >> h & 1]
        if len(raw) != 8 + HASH_BYTES * len(heights):
            raise ValueError("a frontier has one hash per set bit of its size")
        self._peaks = [(h, raw[at : at + 32]) for h, at in zip(heights, range(8, len(raw), 32), strict=True)]
        return self

    def _push(self, height: int, peak: bytes) -> None:
        self.size += 1 << height
        peaks = self._peaks
        while peaks and peaks[-1][0] == height:
            peak = sha256(b"\1" + peaks.pop()[1] + peak).digest()
            height += 1
        peaks.append((height, peak))


def _merged(level: Sequence[bytes]) -> bytes:
    """The root of 2^k hashes. Pairs are cut from one buffer: a join and slices cost less than 2^k
    concatenations."""
    while len(level) > 1:
        pairs = b"".join(level)
        level = [sha256(b"\1" + pairs[at : at + 64]).digest() for at in range(0, len(pairs), 64)]
    return level[0]


def root_of(hashes: Iterable[bytes]) -> bytes:
    frontier = Frontier()
    frontier.extend(list(hashes))
    return frontier.root()


def inclusion_proof(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of leaf `index` in the tree of `hashes`, nearest first. *Spec:* RFC 6962 §2.1.1."""
    if not 0 <= index < len(hashes):
        raise ValueError(f"there is no leaf {index} in a tree of {len(hashes)}")
    if len(hashes) == 1:
        return []
    split = _split(len(hashes))
    if index < split:
        return [*inclusion_proof(hashes[:split], index), root_of(hashes[split:])]
    return [*inclusion_proof(hashes[split:], index - split), root_of(hashes[:split])]


def includes(root: bytes, size: int, index: int, hashed: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows leaf hash `hashed` at `index` of the tree. *Spec:* RFC 9162 §2.1.3.2."""
    if not 0 <= index < size:
        return False
    at, last, result = index, size - 1, hashed
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            result = node_hash(sibling, result)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and result == root


def consistency_proof(hashes: Sequence[bytes], old_size: int) -> list[bytes]:
    """That the first `old_size` leaves are the same tree. *Spec:* RFC 6962 §2.1.2."""
    if not 0 < old_size <= len(hashes):
        raise ValueError(f"there is no tree of {old_size} within one of {len(hashes)}")
    return _subproof(hashes, old_size, whole=True)


def _subproof(hashes: Sequence[bytes], old_size: int, *, whole: bool) -> list[bytes]:
    if old_size == len(hashes):
        return [] if whole else [root_of(hashes)]
    split = _split(len(hashes))
    if old_size <= split:
        return [*_subproof(hashes[:split], old_size, whole=whole), root_of(hashes[split:])]
    return [*_subproof(hashes[split:], old_size - split, whole=False), root_of(hashes[:split])]


def extends(old_root: bytes, old_size: int, root: bytes, size: int, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the tree of `size` only added to the one of `old_size`. *Spec:* RFC 9162
    §2.1.4.2."""
    if not 0 < old_size <= size:
        return False
    if old_size == size:
        return not proof and old_root == root
    path = list(proof) if old_size & (old_size - 1) else [old_root, *proof]
    if not path:
        return False
    at, last = old_size - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and old == old_root and new == root


def _split(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << ((count - 1).bit_length() - 1)
