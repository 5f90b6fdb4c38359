"""The end of what somebody has: where he has logged in, by what, what he has agreed to, and what he has given."""

from ...stores.ports import Records
from .consents import Consent, key_prefix
from .ending import end_given, end_sessions
from .passkeys import Passkey
from .stored import Shelf

__all__ = ["end_all"]


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
    return await end_given(records, subject)
