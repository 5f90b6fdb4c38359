"""Tokens the gateway gets by itself, for itself or in exchange for its caller's: kept until they expire, got once for all.

Here is no I/O: who makes one hands in what obtains a token.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from .challenge import demand_of, scopes_of
from .credentials import Challenge, Header, LoginFailed
from .token_request import Tokens

__all__ = ["Obtain", "Obtained", "bearer", "lacking", "renew_at_s"]

Obtain = Callable[[frozenset[str]], Awaitable[Tokens]]
"""A new token, with these scopes beside the usual. Raises LoginFailed."""

_EARLY_S = 30.0
"""A token is renewed this long before it expires: it has to live until it has arrived, at a clock that is not ours."""
_SOON_S = 5.0
"""What is refused within this time of the last that was is not refused for its age."""
_SETTLED_S = 1.0
"""Who wants one right after it could not be had is told the same."""
_UNSAID_S = 3600.0
"""How long a token is used whose lifetime was not said. It is refused before that, or not."""


class Obtained:
    """One bearer token. A `Credentials`."""

    def __init__(self, obtain: Obtain, now: Callable[[], float]) -> None:
        """`now`: Unix seconds."""
        self._obtain, self._now = obtain, now
        self._tokens: Tokens | None = None
        self._got_s = self._refused_s = 0.0
        self._more: frozenset[str] = frozenset()
        self._failed: tuple[float, str] = (0.0, "")
        self._getting: asyncio.Task[Tokens] | None = None

    async def headers(self, method: str, url: str) -> Sequence[Header]:
        tokens = self._tokens
        if tokens is None or renew_at_s(tokens.expires_s, self._got_s) <= self._now():
            tokens = await self._get()
        return bearer(tokens)

    async def renew(self, challenge: Challenge, method: str, url: str) -> bool:
        if self._tokens is not None and tuple(challenge.sent) != bearer(self._tokens):
            # Somebody who was refused at the same time has got another meanwhile.
            return True
        more = lacking(challenge) - self._more
        again = challenge.before or self._now() - self._refused_s < _SOON_S
        if not more and (again or challenge.status == 403):
            # Another would be refused as well: nobody asks for tokens without an end.
            return False
        self._more |= more
        self._tokens = None
        await self._get()
        self._refused_s = self._now()
        return True

    async def _get(self) -> Tokens:
        failed_s, why = self._failed
        if why and self._now() - failed_s < _SETTLED_S:
            raise LoginFailed(why)
        if self._getting is None:
            self._getting = asyncio.get_running_loop().create_task(self._got())
            self._getting.add_done_callback(self._ended)
        # One who gives up takes it from nobody.
        return await asyncio.shield(self._getting)

    async def _got(self) -> Tokens:
        try:
            self._tokens = await self._obtain(self._more)
        except LoginFailed as exc:
            self._failed = (self._now(), str(exc))
            raise
        self._got_s, self._failed = self._now(), (0.0, "")
        return self._tokens

    def _ended(self, task: "asyncio.Task[Tokens]") -> None:
        self._getting = None
        if not task.cancelled():
            # Everybody who waited may have given up.
            task.exception()


def bearer(tokens: Tokens) -> tuple[Header, ...]:
    return ((b"authorization", b"Bearer " + tokens.access.encode()),)


def renew_at_s(expires_s: float | None, got_s: float) -> float:
    """When to get another, instead of waiting until it is refused. All in Unix seconds."""
    if expires_s is None:
        return got_s + _UNSAID_S
    return expires_s - min(_EARLY_S, (expires_s - got_s) / 2)


def lacking(challenge: Challenge) -> frozenset[str]:
    """The scopes that a refusal says are missing; none where it says no such thing. Spec: RFC 6750 §3.1."""
    demand = demand_of(challenge.www_authenticate)
    if demand is None or demand.params.get("error") != "insufficient_scope":
        return frozenset()
    return frozenset(scopes_of(demand.params.get("scope")))
