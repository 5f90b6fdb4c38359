"""The end of what somebody has: where he has logged in, by what, what he has agreed to, and what he has given."""

from ...stores.ports import Records
from .browser import Session
from .consents import Consent, key_prefix
from .grants import Grant
from .passkeys import Passkey
from .stored import Shelf

__all__ = ["end_all", "end_sessions"]


async def end_all(records: Records, subject: str) -> int:
    """Of one person; how many grants that were. Raises StoreFailed."""
    await end_sessions(records, subject)
    consents = Shelf(records, "consent", Consent)
    for held in await consents.all(key_prefix(subject)):
        await consents.remove(held.key)
    passkeys = Shelf(records, "passkey", Passkey)
    for held in await passkeys.all():
        if held.value.user == subject:
            await passkeys.remove(held.key)
    grants = Shelf(records, "grant", Grant)
    given = [held.key for held in await grants.all() if held.value.subject.name == subject]
    return sum([await grants.remove(key) for key in given])


async def end_sessions(records: Records, subject: str) -> None:
    """Logged out of every browser. Raises StoreFailed."""
    sessions = Shelf(records, "session", Session)
    for held in await sessions.all():
        if held.value.subject.name == subject:
            await sessions.remove(held.key)
