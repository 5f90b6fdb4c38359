"""What a request to a server carries to be let in, and what becomes of it when the server wants another.

A request with headers that never change needs none of this: it is sent as it is.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

__all__ = ["Challenge", "Credentials", "Header", "LoginFailed"]

Header = tuple[bytes, bytes]


class Challenge(msgspec.Struct, frozen=True):
    """A 401 or 403. Spec: RFC 9110 §11.6.1, RFC 6750 §3, RFC 9449 §8."""

    status: int
    www_authenticate: Sequence[str] = ()
    """Each header of that name, as it came."""
    dpop_nonce: str | None = None
    sent: Sequence[Header] = ()
    """What the refused request carried of ours."""
    before: int = 0
    """How often the same request was refused before."""


class LoginFailed(Exception):
    """No credential could be had. The text is for a person: who said no, why, and what can be done."""


class Credentials(Protocol):
    async def headers(self, method: str, url: str) -> Sequence[Header]:
        """What to send with this request; may take as long as a person needs to log in. Raises LoginFailed."""
        ...

    async def renew(self, challenge: Challenge, method: str, url: str) -> bool:
        """After a refusal: whether to send the request once more, with headers asked for anew. Raises LoginFailed.

        Many requests that are refused at once cause one refresh.
        """
        ...
