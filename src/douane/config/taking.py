"""Taking away what somebody was given, so that it is in force and written down; and saying who did it, and why."""

import getpass
import time

from ..auth.api_keys import revoke_key
from ..auth.authority.ending import end_given
from ..auth.authority.grants import Grant
from ..auth.authority.stored import Shelf
from ..interceptors.policy import PolicyError
from ..interceptors.policy.rule_file import remove_rule
from ..stores.ports import Records
from .given import Given, vault_of
from .noted import Note, moment
from .paths import Paths
from .revoking import CannotRevoke, revoked

__all__ = ["CannotRevoke", "note_of", "take_away"]


async def take_away(paths: Paths, records: Records, one: Given, why: str) -> bool:
    """Whether it was still there. Raises CannotRevoke, CannotRead, StoreFailed."""
    match one.kind:
        case "user":
            new = revoked(paths, "user", one.subject, None, why).new
            await end_given(records, one.subject)
            return new
        case "key":
            return await revoke_key(records, one.id) is not None
        case "login":
            return await Shelf(records, "grant", Grant).remove(one.id)
        case "grant":
            return await _drop(paths, records, one)
        case "rule":
            return _remove(paths, one)


async def _drop(paths: Paths, records: Records, one: Given) -> bool:
    vault = vault_of(paths, records)
    there = False
    if vault is not None:
        holdings = [held.holding async for held in vault.all()]
        for holding in holdings:
            if (holding.owner.subject, holding.owner.tenant, holding.upstream) == (one.subject, one.tenant, one.server):
                there = await vault.drop(holding) or there
    return there


def _remove(paths: Paths, one: Given) -> bool:
    try:
        return remove_rule(paths.allowed, one.id)
    except (PolicyError, OSError, UnicodeDecodeError) as exc:
        raise CannotRevoke(f"{paths.allowed} cannot be changed: {exc}") from None


def note_of(one: Given, act: str, *, why: str = "", review: str = "") -> Note:
    """What the audit will have of it."""
    return Note(
        act=act,
        of=one.kind,
        name=one.id,
        by=getpass.getuser(),
        at=moment(time.time()),
        subject=one.subject,
        tenant=one.tenant,
        client=one.client,
        server=one.server,
        why=why,
        review=review,
    )
