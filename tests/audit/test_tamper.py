"""Every mutation of the file is found, and the first bad row named."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from douane.audit.checkpoint import Mark, Signer
from douane.audit.payload import unpacked_entries
from douane.audit.tree import Frontier, leaf_hash
from douane.audit.verify import Finding
from douane.stores.sqlite import SqliteLedger, SqliteReader

from .kit import intent, opened, outcome, packed_entries, signer_in, verified

Expected = tuple[int | None, int | None]
"""Row and leaf that must be named; None where the evidence cannot say."""


class Copy:
    """A copy of the honest file, to be tampered with."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        self.chance = chance
        self.db = apsw.Connection(str(path))
        self.rows = self.db.execute("SELECT first, n FROM bundle ORDER BY first").fetchall()
        self.calls = self.db.execute("SELECT first, n FROM bundle WHERE payloads IS NOT NULL ORDER BY first").fetchall()

    def row(self) -> tuple[int, int]:
        """(first, n) of any bundle of calls."""
        first, n = self.chance.choice(self.calls)
        return int(first), int(n)  # type: ignore[arg-type]

    def blob(self, column: str, first: int) -> bytes:
        return self.db.execute(f"SELECT {column} FROM bundle WHERE first=?", (first,)).get  # type: ignore[no-any-return]

    def put(self, column: str, first: int, value: object) -> None:
        self.db.execute(f"UPDATE bundle SET {column}=? WHERE first=?", (value, first))  # type: ignore[arg-type]

    def flipped(self, raw: bytes, at: int) -> bytes:
        return raw[:at] + bytes([raw[at] ^ (1 << self.chance.randrange(8))]) + raw[at + 1 :]


def flip_entries(copy: Copy) -> Expected:
    first, _ = copy.row()
    raw = copy.blob("entries", first)
    at = copy.chance.randrange(len(raw))
    copy.put("entries", first, copy.flipped(raw, at))
    end = 0
    for number, leaf in enumerate(unpacked_entries(raw)):
        end += 2 + len(leaf)
        if at < end:
            return first, first + number
    raise AssertionError


def flip_hashes(copy: Copy) -> Expected:
    first, n = copy.row()
    at = copy.chance.randrange(n * 32)
    copy.put("hashes", first, copy.flipped(copy.blob("hashes", first), at))
    return first, first + at // 32


def flip_root(copy: Copy) -> Expected:
    first, _ = copy.row()
    copy.put("root", first, copy.flipped(copy.blob("root", first), copy.chance.randrange(32)))
    return first, first


def flip_payloads(copy: Copy) -> Expected:
    first, _ = copy.row()
    raw = copy.blob("payloads", first)
    at = copy.chance.randrange(len(raw))
    copy.put("payloads", first, copy.flipped(raw, at))
    return first, None


def drop_payloads(copy: Copy) -> Expected:
    first, _ = copy.row()
    copy.put("payloads", first, None)
    return first, first


def flip_number(column: str) -> Callable[[Copy], Expected]:
    def flip(copy: Copy) -> Expected:
        first, _ = copy.row()
        number = copy.db.execute(f"SELECT {column} FROM bundle WHERE first=?", (first,)).get
        copy.put(column, first, int(number) ^ (1 << copy.chance.randrange(20)))
        return first, None if column == "n" else first

    return flip


def move_row(copy: Copy) -> Expected:
    first, _ = copy.row()
    copy.db.execute("UPDATE bundle SET first=first+100000 WHERE first=?", (first,))
    return None, first


def delete_row(copy: Copy) -> Expected:
    first, _ = copy.row()
    copy.db.execute("DELETE FROM bundle WHERE first=?", (first,))
    return None, first


def swap_rows(copy: Copy) -> Expected:
    (one, _), (other, _) = sorted(copy.chance.sample(copy.calls, 2))  # type: ignore[misc]
    columns = "n, at_ns, oldest_open, root, entries, hashes, payloads"
    kept = [
        copy.db.execute(f"SELECT {columns} FROM bundle WHERE first=?", (first,)).fetchall()[0] for first in (one, other)
    ]
    for first, values in ((one, kept[1]), (other, kept[0])):
        copy.db.execute(f"UPDATE bundle SET ({columns})=(?,?,?,?,?,?,?) WHERE first=?", (*values, first))
    return int(one), int(one)  # type: ignore[arg-type]


def truncate_tail(copy: Copy) -> Expected:
    first, _ = copy.row()
    copy.db.execute("DELETE FROM bundle WHERE first>=?", (first,))
    return None, first


def truncate_tail_and_checkpoints(copy: Copy) -> Expected:
    expected = truncate_tail(copy)
    copy.db.execute("DELETE FROM checkpoint WHERE size>?", (expected[1],))
    return expected


def _with_another_leaf(copy: Copy, first: int) -> list[bytes]:
    leaves = list(unpacked_entries(copy.blob("entries", first)))
    at = copy.chance.randrange(len(leaves))
    leaves[at] = leaves[at].replace(b'"tenant":"t"', b'"tenant":"u"').replace(b'"status":"ok"', b'"status":"no"')
    copy.put("entries", first, packed_entries(leaves))
    copy.put("hashes", first, b"".join(map(leaf_hash, leaves)))
    return leaves


def rewrite_leaf_and_hash(copy: Copy) -> Expected:
    first, _ = copy.row()
    _with_another_leaf(copy, first)
    return first, first


def rewrite_all_that_follows(copy: Copy) -> Expected:
    """All but the signatures: the tree is consistent in itself."""
    changed, _ = copy.row()
    _with_another_leaf(copy, changed)
    frontier = Frontier()
    for first, _ in copy.rows:
        frontier.extend([leaf_hash(leaf) for leaf in unpacked_entries(copy.blob("entries", first))])  # type: ignore[arg-type]
        copy.put("root", first, frontier.root())  # type: ignore[arg-type]
        copy.db.execute("UPDATE checkpoint SET frontier=? WHERE size=?", (frontier.to_bytes(), frontier.size))
    return None, None


def forge_checkpoint(copy: Copy) -> Expected:
    size = copy.db.execute("SELECT max(size) FROM checkpoint").get
    note = str(copy.db.execute("SELECT note FROM checkpoint WHERE size=?", (size,)).get)
    at = copy.chance.randrange(len(note))
    copy.db.execute(
        "UPDATE checkpoint SET note=? WHERE size=?",
        (note[:at] + chr(ord(note[at]) ^ 1) + note[at + 1 :], size),
    )
    return None, size  # type: ignore[return-value]


def flip_frontier(copy: Copy) -> Expected:
    size = copy.db.execute("SELECT max(size) FROM checkpoint").get
    raw = copy.db.execute("SELECT frontier FROM checkpoint WHERE size=?", (size,)).get
    at = copy.chance.randrange(len(raw))
    copy.db.execute("UPDATE checkpoint SET frontier=? WHERE size=?", (copy.flipped(raw, at), size))
    return None, size  # type: ignore[return-value]


def move_checkpoint(copy: Copy) -> Expected:
    copy.db.execute("UPDATE checkpoint SET size=size-1 WHERE size=(SELECT max(size) FROM checkpoint)")
    return None, None


MUTATIONS = [
    flip_entries,
    flip_hashes,
    flip_root,
    flip_payloads,
    drop_payloads,
    flip_number("n"),
    flip_number("at_ns"),
    flip_number("oldest_open"),
    move_row,
    delete_row,
    swap_rows,
    truncate_tail,
    truncate_tail_and_checkpoints,
    rewrite_leaf_and_hash,
    rewrite_all_that_follows,
    forge_checkpoint,
    flip_frontier,
    move_checkpoint,
]


async def _honest(folder: Path) -> tuple[Path, Signer]:
    """A log of some 40 bundles of different sizes, and what it looked like half-way, as `old.db`."""
    (folder / "keys").mkdir()
    path = folder / "audit.db"
    for half in range(2):
        log = await opened(SqliteLedger(path), signer_in(folder / "keys"))
        for n in range(20):
            calls = [f"c{half}.{n}.{k}" for k in range(n % 5 + 1)]
            waiting = []
            for call in calls:
                asked = intent(call)
                asked.tenant = "t"
                waiting.append(log.write(asked, b"x" * (n * 13)))
            for written in waiting:
                await written
            for written in [log.write(outcome(call), b"answer") for call in calls]:
                await written
        await log.aclose()
        if half == 0:
            shutil.copy(path, folder / "old.db")
    return path, signer_in(folder / "keys")


def _finding(path: Path, vkey: str, mark: Mark | None) -> Finding | None:
    reader = SqliteReader(path)
    report = verified(reader, vkey=vkey, mark=mark)
    reader.close()
    return report.finding


@pytest.mark.slow
async def test_five_hundred_mutations_are_found_and_the_first_bad_row_is_named(tmp_path: Path) -> None:
    honest, signer = await _honest(tmp_path)
    assert _finding(honest, signer.vkey, signer.mark) is None
    chance, wrong = random.Random(42), []
    for number in range(504):
        mutate = MUTATIONS[number % len(MUTATIONS)]
        shutil.copy(honest, tmp_path / "copy.db")
        copy = Copy(tmp_path / "copy.db", chance)
        copy.db.execute("PRAGMA synchronous=OFF; BEGIN").fetchall()
        row, index = mutate(copy)
        copy.db.execute("COMMIT")
        copy.db.close()
        finding = _finding(tmp_path / "copy.db", signer.vkey, signer.mark)
        named = finding is not None and row in (None, finding.row) and index in (None, finding.index)
        if not named:
            wrong.append((mutate, row, index, finding))
    assert wrong == []


async def test_an_old_copy_is_found_by_the_mark_alone(tmp_path: Path) -> None:
    _, signer = await _honest(tmp_path)
    assert _finding(tmp_path / "old.db", signer.vkey, None) is None
    finding = _finding(tmp_path / "old.db", signer.vkey, signer.mark)
    assert finding is not None
    assert "it was cut" in finding.reason


async def test_a_file_damaged_below_sqlite_is_a_finding_and_no_crash(tmp_path: Path) -> None:
    honest, signer = await _honest(tmp_path)
    raw, chance = honest.read_bytes(), random.Random(3)
    unnoticed = 0
    for _ in range(60):
        at = chance.randrange(8192 * 8, len(raw))
        (tmp_path / "copy.db").write_bytes(raw[:at] + bytes([raw[at] ^ 0x20]) + raw[at + 1 :])
        unnoticed += _finding(tmp_path / "copy.db", signer.vkey, signer.mark) is None
    # Free space within pages belongs to nobody.
    assert unnoticed < 15


async def test_two_outcomes_of_a_call_are_a_finding(tmp_path: Path) -> None:
    log = await opened(SqliteLedger(tmp_path / "audit.db"))
    await log.write(intent("c1"))
    await log.write(outcome("c1"))
    await log.write(outcome("c1"))
    await log.aclose()
    reader = SqliteReader(tmp_path / "audit.db")
    assert verified(reader).finding == Finding(3, 3, "the call c1 has a second outcome")
    reader.close()


async def test_an_open_intent_is_a_finding_unless_the_log_is_in_use(tmp_path: Path) -> None:
    log = await opened(SqliteLedger(tmp_path / "audit.db"))
    await log.write(intent("c1"))
    reader = SqliteReader(tmp_path / "audit.db")
    assert verified(reader, live=True).finding is None
    assert verified(reader).finding == Finding(1, None, "the call c1 has no outcome")
    reader.close()
    await log.aclose()
