"""A disk whose power can be cut: a VFS that writes down every write, truncation, sync and deletion.

A cut rebuilds the files as they might be found: all that was synced, and of the rest a random subset, some of
it torn at 512-byte sectors. A Python VFS has no shared memory, hence `exclusive=True` for ledgers on it.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, NamedTuple

import apsw


class Op(NamedTuple):
    kind: str
    file: str
    at: int = 0
    data: bytes = b""


class Disk(apsw.VFS):
    """`name` is what a connection is opened with. `fault(op)` may raise before an operation is carried
    out."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.log: list[Op] = []
        self.fault: Any = None
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> _File:
        return _File(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.happens(Op("delete", Path(filename).name))
        super().xDelete(filename, syncdir)

    def happens(self, op: Op) -> None:
        if self.fault is not None:
            self.fault(op)
        self.log.append(op)


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        self._name = Path(name.filename() if hasattr(name, "filename") else name).name
        super().__init__("", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:
        self._disk.happens(Op("write", self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        self._disk.happens(Op("truncate", self._name, newsize))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        self._disk.happens(Op("sync", self._name))
        super().xSync(flags)


def _applied(content: bytearray, op: Op) -> None:
    if op.kind == "truncate":
        del content[op.at :]
        content.extend(bytes(op.at - len(content)))
        return
    content.extend(bytes(max(0, op.at - len(content))))
    content[op.at : op.at + len(op.data)] = op.data


def cut(log: list[Op], upto: int, into: Path, chance: random.Random) -> None:
    """The files as found after the power failed just before operation `upto`."""
    files: dict[str, bytearray] = {}
    unsynced: dict[str, list[Op]] = {}
    for op in log[:upto]:
        if op.kind == "sync":
            for earlier in unsynced.pop(op.file, []):
                _applied(files.setdefault(op.file, bytearray()), earlier)
        elif op.kind == "delete":
            files.pop(op.file, None)
            unsynced.pop(op.file, None)
        else:
            unsynced.setdefault(op.file, []).append(op)
    for name, ops in unsynced.items():
        for op in ops:
            fate = chance.random()
            if fate < 0.45:
                _applied(files.setdefault(name, bytearray()), op)
            elif fate < 0.6 and op.kind == "write" and len(op.data) > 512:
                torn = 512 * chance.randrange(1, len(op.data) // 512 + 1)
                _applied(files.setdefault(name, bytearray()), op._replace(data=op.data[:torn]))
    into.mkdir(parents=True, exist_ok=True)
    for old in into.iterdir():
        old.unlink()
    for name, content in files.items():
        (into / name).write_bytes(content)
