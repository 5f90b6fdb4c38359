"""All that `douane revoke` does beside the rule it writes: what was given is ended, and the audit is to have it."""

import getpass
import time
from datetime import datetime
from typing import Literal

from ..auth.authority.ending import end_client, end_given
from ..stores.ports import Records
from .given import Given, everything_given
from .kept import CannotRead, records_of
from .noted import Note, moment, note
from .paths import Paths
from .revoking import Revocable
from .taking import note_of, take_away

__all__ = ["CannotRead", "Given", "GivenAway", "cut_off", "given_back", "taken_away"]

GivenAway = Literal["key", "grant"]
"""What is ended for good, so that no rule is needed."""


async def taken_away(paths: Paths, kind: GivenAway, name: str, why: str) -> list[Given]:
    """What there was of that name, which is no more. Raises CannotRead, CannotRevoke."""
    async with records_of(paths, make=False) as records:
        found = [one for one in await everything_given(paths, records) if (one.kind, one.id) == (kind, name)]
        for one in found:
            await take_away(paths, records, one, why)
            await note(records, note_of(one, "revoke", why=why))
        return found


async def cut_off(paths: Paths, kind: Revocable, name: str, until: datetime | None, why: str, *, new: bool) -> int:
    """After the rule stands: end the logins of a user or a client here, and leave a note of what is `new`. How many ended.

    Raises CannotRead.
    """
    ended = 0
    async with records_of(paths) as records:
        if kind == "user":
            ended = await end_given(records, name)
        elif kind == "client":
            ended = await end_client(records, name)
        if new or ended:
            await _note(records, "revoke", kind, name, why, "" if until is None else moment(until.timestamp()))
    return ended


async def given_back(paths: Paths, kind: Revocable, name: str) -> None:
    """Leave a note of it. Raises CannotRead."""
    async with records_of(paths) as records:
        await _note(records, "reinstate", kind, name, "", "")


async def _note(records: Records, act: str, kind: Revocable, name: str, why: str, until: str) -> None:
    at, by = moment(time.time()), getpass.getuser()
    subject = name if kind == "user" else ""
    await note(records, Note(act=act, of=kind, name=name, by=by, at=at, subject=subject, why=why, until=until))
