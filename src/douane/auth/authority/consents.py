"""What people have agreed to: each of them, for each client, each place it is answered at, and each resource."""

from collections.abc import Callable

import msgspec

from ...stores.ports import Conflict, Records
from .asked import Asked
from .redirects import is_loopback
from .stored import Shelf, digest
from .subject import Subject

__all__ = ["Consent", "Consents", "key_prefix"]

_REMEMBERED_S = 180 * 86_400.0


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    subject: str
    client: str
    scopes: tuple[str, ...]
    resource: str
    since_s: float


class Consents:
    def __init__(self, records: Records, clock: Callable[[], float]) -> None:
        """`clock`: Unix seconds."""
        self._shelf, self._clock = Shelf(records, "consent", Consent), clock

    async def covers(self, subject: Subject, asked: Asked) -> bool:
        """Whether nothing of it is new. Raises StoreFailed."""
        held = await self._shelf.get(_key(subject, asked))
        return held is not None and frozenset(asked.scopes) <= frozenset(held.value.scopes)

    async def remember(self, subject: Subject, asked: Asked) -> None:
        """Raises StoreFailed."""
        key = _key(subject, asked)
        held = await self._shelf.get(key)
        before = () if held is None else held.value.scopes
        consent = Consent(
            subject=subject.name,
            client=asked.client.id,
            scopes=tuple(dict.fromkeys((*before, *asked.scopes))),
            resource=asked.resource,
            since_s=self._clock(),
        )
        expires_s = self._clock() + _REMEMBERED_S
        try:
            if held is None:
                await self._shelf.add(key, consent, expires_s)
            else:
                await self._shelf.change(held, consent, expires_s)
        except Conflict:
            # Agreed to twice at once, and one of the two is remembered: the other is asked for again.
            return


def key_prefix(subject: str) -> str:
    """Of the keys of all that a person has agreed to."""
    return digest(subject)


def _key(subject: Subject, asked: Asked) -> str:
    # The port of a loopback address is another each time.
    place = "loopback" if is_loopback(asked.redirect_uri) else asked.redirect_uri
    return f"{key_prefix(subject.name)}{digest(f'{asked.client.id} {place} {asked.resource}')}"
