"""The end of logins: of what a person has given to clients, of what a client was given, and of browsers."""

from collections.abc import Callable

from ...stores.ports import Records
from .browser import Session
from .consents import Consent
from .device import Device
from .grants import Grant
from .stored import Shelf

__all__ = ["end_client", "end_given", "end_sessions"]


async def end_given(records: Records, subject: str) -> int:
    """Of one person, who may log in again: every browser and every client, with codes that wait to be spent.

    How many grants that were. Raises StoreFailed.
    """
    await end_sessions(records, subject)
    return await _end(records, lambda grant: grant.subject.name == subject)


async def end_client(records: Records, client: str) -> int:
    """What everybody has given it, what they have agreed to, and the logins that wait for somebody to decide.

    How many grants that were. Raises StoreFailed.
    """
    consents = Shelf(records, "consent", Consent)
    for held in await consents.all():
        if held.value.client == client:
            await consents.remove(held.key)
    devices = Shelf(records, "device", Device)
    for held in await devices.all():
        if held.value.client == client:
            await devices.remove(held.key)
    return await _end(records, lambda grant: grant.client == client)


async def end_sessions(records: Records, subject: str) -> None:
    """Logged out of every browser. Raises StoreFailed."""
    sessions = Shelf(records, "session", Session)
    for held in await sessions.all():
        if held.value.subject.name == subject:
            await sessions.remove(held.key)


async def _end(records: Records, ends: Callable[[Grant], bool]) -> int:
    # A code, and a device's login that was agreed to, name a grant: without it they are good for nothing.
    grants = Shelf(records, "grant", Grant)
    return sum([await grants.remove(held.key) for held in await grants.all() if ends(held.value)])
