"""Bearer tokens: who they belong to, and how little a flood of wrong ones may cost.

A header is looked up by its SHA-256, so the table holds no credential and a comparison tells nothing by its time.
Spec: RFC 6750 §2.1, §3.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping

import msgspec

__all__ = ["Bearer", "Denied", "Identity", "exposure_fault"]

_MAX_ADDRESSES = 4096
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Identity(msgspec.Struct, frozen=True):
    subject: str
    groups: frozenset[str] = frozenset()
    tenant: str = "default"
    client: str = ""


class Denied(msgspec.Struct, frozen=True):
    """Not let in: the status, words for the caller, the challenge, and whether it is worth a line in the log."""

    status: int
    reason: str
    challenge: str | None = None
    retry_after_s: float = 0.0
    recorded: bool = True


_NO_TOKEN = Denied(
    401, "client: send the gateway's token as `Authorization: Bearer …`; `douane up` says where it is", "Bearer"
)
_WRONG = Denied(401, "client: this token is not known here", 'Bearer error="invalid_token"')


class Bearer:
    """Verifies `Authorization` headers against a fixed set of tokens."""

    def __init__(
        self,
        tokens: Mapping[str, Identity],
        clock: Callable[[], float],
        *,
        failures_per_s: float = 1.0,
        burst: int = 20,
    ) -> None:
        self._known = {_digest(b"Bearer " + token.encode()): who for token, who in tokens.items()}
        self._clock, self._gap_s, self._slack_s = clock, 1.0 / failures_per_s, burst / failures_per_s
        self._next_free_s: OrderedDict[str, float] = OrderedDict()
        self._recorded_s: dict[str, int] = {}

    def verify(self, header: bytes | None, address: str) -> Identity | Denied:
        """Who sent `header`. `address` is the peer's, for which failures are counted."""
        if header is not None:
            who = self._known.get(_digest(header))
            if who is not None:
                return who
        return self._failed(address, _NO_TOKEN if header is None else _WRONG)

    def _failed(self, address: str, denied: Denied) -> Denied:
        # GCRA: one number an address. Its answer costs less and less work as failures go on.
        now_s = self._clock()
        free_s = max(self._next_free_s.get(address, now_s), now_s)
        if free_s - now_s > self._slack_s:
            wait_s = free_s - now_s - self._slack_s
            return Denied(429, "client: too many wrong tokens from this address", None, wait_s, recorded=False)
        self._next_free_s[address] = free_s + self._gap_s
        self._next_free_s.move_to_end(address)
        if len(self._next_free_s) > _MAX_ADDRESSES:
            self._next_free_s.popitem(last=False)
        return denied if self._first_this_second(address, now_s) else msgspec.structs.replace(denied, recorded=False)

    def _first_this_second(self, address: str, now_s: float) -> bool:
        # At most one leaf an address and second: a flood of wrong tokens must not buy commits.
        second = int(now_s)
        if self._recorded_s.get(address) == second:
            return False
        if len(self._recorded_s) >= _MAX_ADDRESSES:
            self._recorded_s.clear()
        self._recorded_s[address] = second
        return True


def _digest(header: bytes) -> bytes:
    return hashlib.sha256(header).digest()


def exposure_fault(host: str, *, real_authentication: bool) -> str | None:
    """Why a gateway must not listen on `host`, or None."""
    if host in _LOOPBACK or real_authentication:
        return None
    return (
        f"listen.host {host} can be reached from other machines, and the token of the first start is no protection there;"
        " listen on 127.0.0.1 (behind a proxy that authenticates), until real authentication is configured"
    )
