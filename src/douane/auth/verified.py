"""What the ways to recognise a token have in common: what each finds out, and how it says no."""

from typing import Protocol

import msgspec

from .jws import BadToken
from .keys import Unreachable
from .tokens import Identity

__all__ = ["BadToken", "Source", "Unreachable", "Verified"]


class Verified(msgspec.Struct, frozen=True):
    """A token that holds."""

    identity: Identity
    resources: frozenset[str]
    """The endpoints it was issued for, by their URLs. None of them: it is of no use here."""
    until_s: float
    """Unix seconds: then it is to be looked at again."""
    key_thumbprint: str | None = None
    """It is good only with a proof of this key (RFC 9449 §6.1)."""
    certificate_thumbprint: str | None = None
    """It is good only from who has this certificate (RFC 8705 §3.1)."""

    @property
    def is_bound(self) -> bool:
        return self.key_thumbprint is not None or self.certificate_thumbprint is not None


class Source(Protocol):
    """One way to recognise a token: an issuer, the table of keys."""

    @property
    def asks(self) -> bool:
        """Whether each unknown token costs a question to somebody else."""
        ...

    def takes(self, token: str) -> bool:
        """Whether `token` looks like one of its own. Cheap, and says nothing of whether it holds."""
        ...

    async def verify(self, token: str) -> Verified:
        """Raises BadToken, Unreachable."""
        ...
