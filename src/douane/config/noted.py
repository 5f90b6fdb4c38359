"""What commands did to who has access, on its way into the audit: the log belongs to the gateway, and it may not be running.

A command leaves a note in the records. The gateway takes it up within a second, or at its next start: it writes it down, cuts off
what is under way, and only then takes the note away. So none is lost, and after a crash one may be written twice, under one id.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import msgspec

from ..audit.entry import Admin
from ..audit.errors import AuditError
from ..audit.log import AuditLog
from ..protocol.call import Call
from ..protocol.outcome import Refused
from ..stores.ports import NEW, Conflict, Record, Records, StoreFailed
from ..stores.records import SqliteRecords
from ..wire.codes import POLICY_DENIED
from .paths import Paths

__all__ = ["Note", "Noting", "moment", "note", "refusing"]

logger = logging.getLogger(__name__)

_KIND = "access.note"
_LOOK_EVERY_S = 1.0

TAKEN = frozenset({"revoke", "withdraw"})
"""What takes something away."""


class Note(msgspec.Struct, frozen=True, kw_only=True):
    act: str
    of: str
    """The kind of thing."""
    name: str
    by: str
    """Who did it, as the machine knows them."""
    at: str
    """RFC 3339, UTC."""
    subject: str = ""
    """Whose it was."""
    tenant: str = "default"
    client: str = ""
    server: str = ""
    why: str = ""
    until: str = ""
    review: str = ""


def moment(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(at_s * 1000) % 1000:03d}Z"


async def note(records: Records, one: Note) -> None:
    """Raises StoreFailed."""
    # In the order of their making.
    key = f"{time.time_ns():020d}-{secrets.token_hex(4)}"
    await records.put(_KIND, key, msgspec.json.encode(one), version=NEW)


def refusing(one: Note) -> Callable[[Call], Refused | None] | None:
    """How a call under way is refused that was made with what `one` took away; None: it took nothing that calls are made with.

    What a rule forbids is not told here: the rules are asked for themselves.
    """
    if one.act not in TAKEN or one.of not in ("key", "login", "grant"):
        return None

    def judge(call: Call) -> Refused | None:
        who = call.principal
        if who.subject != one.subject or who.tenant != one.tenant:
            return None
        if one.client not in ("", who.client) or one.server not in ("", call.upstream):
            return None
        reason = f"policy: the {one.of} that this call was made with was taken away (call {call.id})"
        return Refused(POLICY_DENIED, reason, data={"rule": f"revoked {one.of} {one.name}", "call": call.id})

    return judge


class Noting:
    """Takes notes up while the gateway runs."""

    def __init__(self, paths: Paths, log: AuditLog, told: Callable[[Note], None]) -> None:
        """`told` hears of each once it is written down."""
        self._paths, self._log, self._told = paths, log, told
        self._records: SqliteRecords | None = None
        self._complained = ""
        self._task = asyncio.get_running_loop().create_task(self._go_on())

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})
        if self._records is not None:
            await self._records.aclose()

    async def _go_on(self) -> None:
        while True:
            try:
                await self._take_up()
            except (StoreFailed, AuditError) as exc:
                self._complain(f"who changed access cannot be written down now: {exc}")
            except Exception:
                # The edge of this task: the next note has to find it alive.
                logger.exception("a note of who changed access cannot be taken up")
            await asyncio.sleep(_LOOK_EVERY_S)

    def _complain(self, fault: str) -> None:
        # Tried again each second, and said once.
        if fault != self._complained:
            self._complained = fault
            logger.error("%s", fault)

    async def _take_up(self) -> None:
        # Most gateways keep no records, and none is made for this.
        if self._records is None and self._paths.records.exists():
            self._records = await asyncio.to_thread(SqliteRecords, self._paths.records)
        records = self._records
        if records is not None:
            for record in await records.find(_KIND):
                await self._write_down(records, record)

    async def _write_down(self, records: Records, record: Record) -> None:
        try:
            one = msgspec.json.decode(record.value, type=Note)
        except msgspec.DecodeError as exc:
            # It stays, for the version that wrote it; those after it are not held up.
            self._complain(f"the note {record.key} of who changed access cannot be read: {exc}")
            return
        leaf = Admin(
            act=one.act, actor=self._log.actor(one.by), at=one.at, note=record.key, of=one.of, review=one.review
        )
        said = {"name": one.name, "subject": one.subject, "why": one.why, "until": one.until}
        await self._log.write(leaf, msgspec.json.encode({key: text for key, text in said.items() if text}))
        self._told(one)
        with suppress(Conflict):
            await records.take(_KIND, record.key, version=record.version)
