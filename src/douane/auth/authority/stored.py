"""Values in `Records`, typed, and the digests they are kept under: whoever reads the store finds nothing to log in with."""

import hashlib
from typing import Generic, TypeVar

import msgspec

from ...stores.ports import NEW, Conflict, Records

__all__ = ["Held", "Shelf", "digest"]

T = TypeVar("T")


def digest(secret: str) -> str:
    """Under what a secret of at least 128 random bits is kept."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Held(msgspec.Struct, Generic[T], frozen=True):
    key: str
    value: T
    version: int
    expires_s: float | None


class Shelf(Generic[T]):
    """One kind of record."""

    def __init__(self, records: Records, kind: str, type_: type[T]) -> None:
        self._records, self._kind = records, f"authority.{kind}"
        self._decoder = msgspec.json.Decoder(type_)

    async def get(self, key: str) -> Held[T] | None:
        """Raises StoreFailed."""
        found = await self._records.get(self._kind, key)
        if found is None:
            return None
        return Held(key, self._decoder.decode(found.value), found.version, found.expires_s)

    async def add(self, key: str, value: T, expires_s: float | None = None) -> None:
        """Raises Conflict when there is one, StoreFailed."""
        await self._records.put(self._kind, key, msgspec.json.encode(value), version=NEW, expires_s=expires_s)

    async def change(self, held: Held[T], value: T, expires_s: float | None = None) -> None:
        """Raises Conflict when it is not as it was, StoreFailed."""
        encoded = msgspec.json.encode(value)
        await self._records.put(self._kind, held.key, encoded, version=held.version, expires_s=expires_s)

    async def take(self, key: str) -> T | None:
        """What was there, which is nobody else's now; None also when somebody was faster. Raises StoreFailed."""
        found = await self.get(key)
        if found is None:
            return None
        try:
            await self._records.take(self._kind, key, version=found.version)
        except Conflict:
            return None
        return found.value

    async def remove(self, key: str) -> bool:
        """Gone, whatever others do to it meanwhile; whether it was there. Raises StoreFailed."""
        there = False
        while (found := await self.get(key)) is not None:
            there = True
            try:
                await self._records.take(self._kind, key, version=found.version)
            except Conflict:
                continue
        return there

    async def all(self, prefix: str = "", *, most: int | None = None) -> list[Held[T]]:
        """Those whose keys begin with `prefix`, at most so many. Raises StoreFailed."""
        held: list[Held[T]] = []
        after = ""
        while most is None or len(held) < most:
            found = await self._records.find(self._kind, prefix, after=after)
            held += [Held(one.key, self._decoder.decode(one.value), one.version, one.expires_s) for one in found]
            if not found:
                break
            after = found[-1].key
        return held[:most]
