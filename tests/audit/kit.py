"""What the audit's tests share: a log with settings that suit tests, and leaves to write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from douane.audit.checkpoint import Mark, Signer
from douane.audit.entry import Intent, Outcome
from douane.audit.log import AuditLog
from douane.audit.payload import SALT_BYTES, u16, u32
from douane.audit.verify import Report, verify
from douane.audit.writer import AuditSettings
from douane.stores.ports import Ledger, Reading

ORIGIN = "douane.test/log"
ACTOR_KEY = b"k" * 32
ROOMY = AuditSettings(min_free_bytes=0)


async def opened(ledger: Ledger, signer: Signer | None = None, settings: AuditSettings = ROOMY) -> AuditLog:
    return await AuditLog.open(ledger, signer=signer, origin=ORIGIN, actor_key=ACTOR_KEY, settings=settings)


def signer_in(folder: Path) -> Signer:
    key = folder / "audit.key"
    return Signer(key) if key.exists() else Signer.create(key, ORIGIN)


def intent(call: str) -> Intent:
    return Intent(
        call=call, root=call, actor="a" * 64, server="time", tool="now", method="tools/call", decision="allow"
    )


def outcome(call: str) -> Outcome:
    return Outcome(call=call, root=call, status="ok", sent="yes", took_us=1200)


async def write_call(log: AuditLog, call: str) -> None:
    await log.write(intent(call), b'{"zone":"UTC"}')
    await log.write(outcome(call), b'{"time":"08:00"}')


def verified(reading: Reading, *, vkey: str | None = None, mark: Mark | None = None, live: bool = False) -> Report:
    report = None
    for step in verify(reading, origin=ORIGIN, vkey=vkey, mark=mark, live=live):
        report = step
    assert isinstance(report, Report)
    return report


def calls_in(reading: Reading) -> Iterator[tuple[str, str]]:
    """(kind, call) of every leaf of a call."""
    from douane.audit.read import entries

    for entry in entries(reading):
        with suppress(AttributeError):
            yield entry.leaf.kind, entry.leaf.call  # type: ignore[union-attr]


def packed_entries(leaves: Sequence[bytes]) -> bytes:
    """As the log packs them."""
    return b"".join([part for leaf in leaves for part in (u16.pack(len(leaf)), leaf)])


def packed_payload(salt: bytes, body: bytes) -> bytes:
    """As the log packs it."""
    return u32.pack(SALT_BYTES + len(body)) + salt + body
